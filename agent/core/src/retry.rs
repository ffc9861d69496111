//! When to try again: exponential backoff with full jitter.
//!
//! Full jitter, a delay drawn evenly from nothing up to the ceiling, spreads a fleet of sidecars
//! best over a backend that comes back (Brooker, *Exponential Backoff And Jitter*, 2015).
//! There is no last try: the bound of the queue decides what is lost, and when.

use std::time::Duration;

/// Ceiling of the first delay.
pub const FIRST: Duration = Duration::from_secs(1);
/// Largest ceiling.
pub const CEILING_MAX: Duration = Duration::from_secs(30);
/// How much the ceiling grows with each failure.
const FACTOR: u32 = 2;

/// The delays between tries of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    /// Starts with the first delay.
    pub const fn new() -> Self {
        Self { ceiling: FIRST }
    }

    /// The delay before the next try.
    ///
    /// `draw` is any of the 2⁶⁴ numbers, each as likely; `server_delay` is what the server asked
    /// for: the least delay, on top of which the jitter comes, so that those told the same don't
    /// come back together.
    pub fn next(&mut self, draw: u64, server_delay: Option<Duration>) -> Duration {
        let ceiling = u64::try_from(self.ceiling.as_nanos()).unwrap_or(u64::MAX);
        let scaled = (u128::from(ceiling) * u128::from(draw)) >> 64;
        let jitter = Duration::from_nanos(u64::try_from(scaled).unwrap_or(ceiling));
        self.ceiling = self.ceiling.saturating_mul(FACTOR).min(CEILING_MAX);
        server_delay.unwrap_or_default().saturating_add(jitter)
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        *self = Self::new();
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Delays in milliseconds of tries that draw the same.
    fn delays(draw: u64, server_delay: Option<Duration>, tries: usize) -> Vec<u128> {
        let mut backoff = Backoff::new();
        let mut next = || backoff.next(draw, server_delay).as_millis();
        (0..tries).map(|_| next()).collect()
    }

    #[test]
    fn ceilings_double_up_to_half_a_minute() {
        let half = 1 << 63;
        assert_eq!(
            delays(half, None, 7),
            [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]
        );
        assert_eq!(delays(0, None, 3), [0, 0, 0]);
        assert_eq!(delays(u64::MAX, None, 3), [999, 1_999, 3_999]);
    }

    #[test]
    fn a_servers_delay_is_the_least() {
        let asked = Some(Duration::from_secs(60));
        assert_eq!(delays(0, asked, 2), [60_000, 60_000]);
        assert_eq!(delays(1 << 63, asked, 2), [60_500, 61_000]);
        assert_eq!(
            delays(u64::MAX, Some(Duration::MAX), 1),
            [Duration::MAX.as_millis()]
        );
    }

    #[test]
    fn success_begins_anew() {
        let mut backoff = Backoff::new();
        for _ in 0..9 {
            backoff.next(7, None);
        }
        backoff.reset();
        assert_eq!(backoff, Backoff::new());
    }

    proptest! {
        #[test]
        fn delays_stay_between_what_is_asked_and_the_ceiling(
            draws in prop::collection::vec((any::<u64>(), 0_u64..100_000), 1..20),
        ) {
            let mut backoff = Backoff::new();
            for (draw, asked) in draws {
                let asked = Duration::from_millis(asked);
                let delay = backoff.next(draw, Some(asked));
                prop_assert!(delay >= asked && delay < asked + CEILING_MAX);
            }
        }
    }
}
