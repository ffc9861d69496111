//! Draws from a finite distribution in constant time.
//!
//! Source: Walker 1977; the table is built as in Vose, "A linear algorithm for generating random
//! numbers with a given distribution", 1991.

use super::Chance;

/// A finite distribution over 0..n, n below 2^32.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// Of each column: the chance to stay in it, in 2^-32, and where to go else.
    columns: Vec<(u32, u32)>,
}

impl Alias {
    /// The distribution proportional to `weights`, which are not negative and not all 0.
    pub fn new(weights: &[f64]) -> Self {
        let n = weights.len();
        let total: f64 = weights.iter().sum();
        let mut share: Vec<f64> = weights.iter().map(|w| w * n as f64 / total).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..n).partition(|&i| share[i] < 1.0);
        let mut columns: Vec<(u32, u32)> = (0..n as u32).map(|i| (u32::MAX, i)).collect();
        while let (Some(&s), Some(&l)) = (small.last(), large.last()) {
            small.pop();
            columns[s] = ((share[s] * 4_294_967_296.0) as u32, l as u32);
            share[l] -= 1.0 - share[s];
            if share[l] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        Self { columns }
    }

    /// One draw; 0 of an empty distribution.
    pub fn draw(&self, chance: &mut Chance) -> usize {
        let bits = chance.bits();
        let column = (((bits >> 32) * self.columns.len() as u64) >> 32) as usize;
        let Some(&(stay, other)) = self.columns.get(column) else {
            return 0;
        };
        // A mask, for no branch predictor foresees a draw.
        let stays = u32::from(bits as u32 <= stay).wrapping_neg();
        ((column as u32 & stays) | (other & !stays)) as usize
    }
}
