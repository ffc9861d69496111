//! Bounds of what is exchanged, each with its reason.

/// Longest name of a service, namespace, arm, pod or version, in bytes: Kubernetes allows 253.
pub const NAME_BYTES_MAX: usize = 256;
/// Longest route key, in bytes: a method and a path template.
pub const ROUTE_BYTES_MAX: usize = 512;
/// Most routes of a window; the agent sends at most 50 and `other`, any collector may send more.
pub const ROUTES_MAX: usize = 256;
/// Most status codes of a route.
pub const CODES_MAX: usize = 128;
/// Most latency buckets of a route: an OTLP exponential histogram has 160 by default, an HDR one
/// is never written so.
pub const BUCKETS_MAX: usize = 4096;
/// Longest line of recorded evidence, in bytes: all routes with full histograms.
pub const WINDOW_LINE_BYTES_MAX: usize = 4 << 20;
/// Longest window, in seconds: a scrape interval of an hour is evidence of nothing.
pub const WINDOW_SECONDS_MAX: u64 = 3600;
/// Largest answer to an evaluation, in bytes: it is stored in the AnalysisRun's measurements.
pub const EVALUATION_BYTES_MAX: usize = 2048;
