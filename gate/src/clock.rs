//! The last reader of a clock: everything below takes the time as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use davy_proto::UnixNanos;

/// The wall clock, in nanoseconds since the Unix epoch.
pub fn now() -> UnixNanos {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    UnixNanos::new(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
