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

    /// Numbers that may be drawn: n.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// One draw; 0 of an empty distribution.
    pub fn draw(&self, chance: &mut Chance) -> usize {
        let mut drawn = 0;
        self.each(1, chance, |number| drawn = number);
        drawn
    }

    /// Shows `n` draws, one after the other; none of an empty distribution.
    #[inline]
    pub fn each(&self, n: u64, chance: &mut Chance, mut show: impl FnMut(usize)) {
        let columns = self.columns.as_slice();
        // A generator of its own stays in registers.
        let mut own = chance.clone();
        for _ in 0..n {
            let bits = own.bits();
            let column = (((bits >> 32) * columns.len() as u64) >> 32) as usize;
            if let Some(&(stay, other)) = columns.get(column) {
                // A mask, for no branch predictor foresees a draw.
                let stays = u32::from(bits as u32 <= stay).wrapping_neg();
                show(((column as u32 & stays) | (other & !stays)) as usize);
            }
        }
        *chance = own;
    }
}
