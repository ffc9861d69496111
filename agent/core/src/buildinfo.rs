//! What this build is: version, commit, time and target, as far as the build said.

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Commit it was built from, by `DAVY_COMMIT` at build time; else `unknown`.
pub const COMMIT: &str = or_unknown(option_env!("DAVY_COMMIT"));
/// When it was built, RFC 3339, by `DAVY_BUILD_TIME` at build time; else `unknown`.
pub const BUILD_TIME: &str = or_unknown(option_env!("DAVY_BUILD_TIME"));
/// Architecture and operating system, such as `x86_64-linux`.
pub const TARGET: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-linux"
} else {
    "x86_64-linux"
};

const fn or_unknown(value: Option<&'static str>) -> &'static str {
    match value {
        Some(value) => value,
        None => "unknown",
    }
}
