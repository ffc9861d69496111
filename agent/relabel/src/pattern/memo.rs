//! What an expression said of the texts before, for the series of a page have few names and their
//! labels few values, scrape after scrape.

use std::sync::{Mutex, PoisonError};

/// Texts that are kept, each in the place that its hash says.
const PLACES: usize = 128;
/// Longest text that is kept, in bytes; all places full take some 20 KiB.
const TEXT_BYTES_MAX: usize = 128;

/// A text and its answer.
type Place<V> = Option<(Box<str>, V)>;

/// Answers by text. What is kept of them makes no difference but of time.
#[derive(Debug, Default)]
pub(super) struct Memo<V>(Mutex<Vec<Place<V>>>);

impl<V> Clone for Memo<V> {
    /// A memo of nothing.
    fn clone(&self) -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Memo<V> {
    /// Returns what is kept for a text, or else what `find` says, and keeps that.
    pub(super) fn of(&self, text: &str, find: impl FnOnce() -> V) -> V {
        if text.len() > TEXT_BYTES_MAX {
            return find();
        }
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.is_empty() {
            places.resize_with(PLACES, || None);
        }
        match places.get_mut(place(text)) {
            Some(Some((known, answer))) if **known == *text => answer.clone(),
            Some(other) => other.insert((text.into(), find())).1.clone(),
            None => find(),
        }
    }
}

/// Returns a text's place: the upper bits of a product by which FxHash mixes, word by word.
fn place(text: &str) -> usize {
    let (words, rest) = text.as_bytes().as_chunks();
    let mix = |hash: u64, word: u64| {
        let mixed = hash.rotate_left(5) ^ word;
        mixed.wrapping_mul(0x517c_c1b7_2722_0a95)
    };
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let rest = rest.iter().map(|byte| u64::from(*byte));
    let hash = words.chain(rest).fold(0, mix);
    (hash >> (u64::BITS - PLACES.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: an answer is that of its text, whatever shares its place, and few are kept.
    #[test]
    fn answers_are_those_of_their_texts() {
        let memo = Memo::default();
        for _ in 0..2 {
            for number in 0..10_000 {
                let text = format!("{}{number}", "x".repeat(number % 200));
                assert_eq!(memo.of(&text, || text.len()), text.len());
            }
        }
        assert_eq!(memo.0.lock().map(|places| places.len()).ok(), Some(PLACES));
    }

    #[test]
    fn a_text_is_looked_at_once() {
        let memo = Memo::default();
        assert_eq!(memo.of("go_goroutines", || 1), 1);
        assert_eq!(memo.of("go_goroutines", || 2), 1);
        let copy = memo.clone();
        assert_eq!(copy.of("go_goroutines", || 2), 2);
        assert_eq!(memo.of("go_goroutines", || 3), 1);
    }

    #[test]
    fn places_are_spread() {
        let names = (0..PLACES).map(|number| place(&format!("shop_articles_{number:03}_total")));
        let mut taken: Vec<_> = names.collect();
        taken.sort_unstable();
        taken.dedup();
        // As many as of so many balls in so many urns: 1 - 1/e of them.
        assert!(taken.len() > PLACES / 2, "{}", taken.len());
    }
}
