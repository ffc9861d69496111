//! The last reader of clocks: everything below takes the time as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use davy_proto::UnixNanos;

/// The wall clock, in nanoseconds since the Unix epoch.
pub fn now() -> UnixNanos {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    UnixNanos::new(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// The wall clock as the standard library has it: for dates in answers of backends.
pub fn system_time() -> SystemTime {
    SystemTime::now()
}

/// The monotonic clock, for durations.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// How long until the wall clock shows the next multiple of `interval`; at least 1 ns.
pub fn until_next_multiple(interval: Duration, now: UnixNanos) -> Duration {
    let interval = u64::try_from(interval.as_nanos())
        .unwrap_or(u64::MAX)
        .max(1);
    Duration::from_nanos(interval - now.nanos() % interval)
}

/// A draw for jitter: the clock's nanoseconds, scrambled (SplitMix64's finalizer).
pub fn draw() -> u64 {
    let mut draw = now().nanos();
    draw = (draw ^ (draw >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    draw = (draw ^ (draw >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    draw ^ (draw >> 31)
}
