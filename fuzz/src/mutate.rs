//! Mutations of inputs, without looking at what they reach: what tests do beside the seeds.

/// Draws numbers from a seed. Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
/// Generators", OOPSLA 2014, as SplitMix64.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Draws that are the same for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % end.max(1) as u64) as usize
    }
}

/// Longest run that one mutation moves, in bytes.
const RUN_MAX: usize = 64;

/// One to four changes of an input: bytes, words of a dictionary, parts of another input.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], words: &[Vec<u8>], draw: &mut Draw) {
    for _ in 0..=draw.below(4) {
        let at = draw.below(input.len() + 1);
        let end = (at + 1 + draw.below(RUN_MAX)).min(input.len());
        let run = input.get(at..end).unwrap_or_default().to_vec();
        match draw.below(8) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << draw.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = draw.below(256) as u8;
                }
            }
            2 => input.insert(at, draw.below(256) as u8),
            3 => {
                input.drain(at..end.max(at));
            }
            4 => {
                let to = draw.below(input.len() + 1);
                input.splice(to..to, run);
            }
            5 => input.truncate(at),
            6 => {
                let from = draw.below(other.len());
                let end = (from + 1 + draw.below(RUN_MAX)).min(other.len());
                let part = other.get(from..end).unwrap_or_default();
                input.splice(at..at, part.iter().copied());
            }
            _ => {
                let word = words.get(draw.below(words.len()));
                let word = word.map(Vec::as_slice).unwrap_or_default();
                input.splice(at..at, word.iter().copied());
            }
        }
    }
}
