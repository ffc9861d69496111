//! A sketch at rest: of small counts two bytes each, where a sketch that is worked on has eight.

use serde::{Deserialize, Serialize};

use super::exponential::Exponential;
use super::{Sketch, counts};

/// A sketch that is kept to be taken up again, and serialized as it would be itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(from = "Sketch", into = "Sketch")]
pub struct Packed(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// An exponential sketch without its counts, and those.
    Small(Exponential, Box<[u16]>),
    Whole(Sketch),
}

impl From<Sketch> for Packed {
    fn from(sketch: Sketch) -> Self {
        match sketch {
            Sketch::Exponential(mut sketch) if counts::below(16, sketch.counts()) => {
                let counts = std::mem::take(&mut sketch.counts);
                // None is cut off.
                let counts = counts.into_iter().map(|count| count as u16);
                Self(Kind::Small(sketch, counts.collect()))
            }
            sketch => Self(Kind::Whole(sketch)),
        }
    }
}

impl From<Packed> for Sketch {
    fn from(packed: Packed) -> Self {
        match packed.0 {
            Kind::Small(mut sketch, counts) => {
                sketch.counts = counts.iter().copied().map(u64::from).collect();
                Self::Exponential(sketch)
            }
            Kind::Whole(sketch) => sketch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: whatever the counts, a sketch comes back as it was, and is serialized the same.
    #[test]
    fn what_is_packed_comes_back() {
        for most in [0, 1, 65_535, 65_536, u64::MAX] {
            let exponential = Sketch::exponential(5, 3, -7, vec![1, most, 2]).unwrap();
            let explicit = Sketch::explicit(vec![0.1, 0.5], vec![1, most, 2]).unwrap();
            for sketch in [exponential, explicit, Sketch::Empty] {
                let packed = Packed::from(sketch.clone());
                let text = serde_json::to_string(&packed).unwrap();
                assert_eq!(text, serde_json::to_string(&sketch).unwrap());
                assert_eq!(serde_json::from_str::<Packed>(&text).unwrap(), packed);
                assert_eq!(Sketch::from(packed), sketch);
            }
        }
    }
}
