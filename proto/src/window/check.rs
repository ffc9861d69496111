//! What makes a window contradict itself.

use std::collections::BTreeSet;

use super::{Latency, Route, Window};
use crate::limits::{
    BUCKETS_MAX, CODES_MAX, NAME_BYTES_MAX, ROUTE_BYTES_MAX, ROUTES_MAX, WINDOW_LINE_BYTES_MAX,
    WINDOW_SECONDS_MAX,
};

/// Why a line is no window.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WindowError {
    /// Not the JSON of a window.
    #[error("column {column}: {message}")]
    Json {
        /// Where, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// Longer than a window can be.
    #[error("a line of {bytes} bytes, at most {WINDOW_LINE_BYTES_MAX} are read")]
    LineTooLong {
        /// Length of the line.
        bytes: usize,
    },
    /// The end is not after the start, or the window is longer than an hour.
    #[error("end must be after start, by at most {WINDOW_SECONDS_MAX} s")]
    Period,
    /// A name is empty or too long.
    #[error("{field} must have 1 to {max} bytes")]
    Name {
        /// Key of the name.
        field: &'static str,
        /// Most bytes.
        max: usize,
    },
    /// More entries than allowed.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// Most of them.
        max: usize,
    },
    /// A route stands there twice.
    #[error("route {route:?} stands there twice")]
    DuplicateRoute {
        /// The route.
        route: String,
    },
    /// A part is more than the whole.
    #[error("route {route:?}: {part} {count} exceed {requests} requests")]
    Exceeds {
        /// The route.
        route: String,
        /// What is too much: `errors`, `codes` or `latency`.
        part: &'static str,
        /// How much it is.
        count: u64,
        /// How many requests there are.
        requests: u64,
    },
    /// Counts don't fit bounds.
    #[error("route {route:?}: {bounds} bounds need {} counts, not {counts}", bounds + 1)]
    CountsLength {
        /// The route.
        route: String,
        /// How many bounds.
        bounds: usize,
        /// How many counts.
        counts: usize,
    },
    /// Bounds are not rising, finite and positive.
    #[error("route {route:?}: bounds must be positive, finite and rising")]
    Bounds {
        /// The route.
        route: String,
    },
    /// Scale outside −10 to 20, or an index beyond 32 bits.
    #[error("route {route:?}: scale must be in -10..=20 and indexes fit 32 bits")]
    Scale {
        /// The route.
        route: String,
    },
    /// CPU seconds negative or not finite, or a limit that is not positive.
    #[error("cpu: seconds must be 0 or more and limit_cores above 0, both finite")]
    Cpu,
}

impl WindowError {
    pub(super) fn json(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        Self::Json {
            column: error.column(),
            message,
        }
    }
}

pub(super) fn window(window: &Window) -> Result<(), WindowError> {
    let nanos = window.end.since(window.start);
    if nanos.is_zero() || nanos.as_nanos() > u128::from(WINDOW_SECONDS_MAX) * 1_000_000_000 {
        return Err(WindowError::Period);
    }
    name("service", &window.service, NAME_BYTES_MAX)?;
    name("pod", &window.pod, NAME_BYTES_MAX)?;
    if window.namespace.len() > NAME_BYTES_MAX {
        return Err(WindowError::Name {
            field: "namespace",
            max: NAME_BYTES_MAX,
        });
    }
    at_most("routes", window.routes.len(), ROUTES_MAX)?;
    let mut seen = BTreeSet::new();
    for entry in &window.routes {
        if !seen.insert(entry.route.as_str()) {
            return Err(WindowError::DuplicateRoute {
                route: entry.route.clone(),
            });
        }
        route(entry)?;
    }
    match window.cpu {
        Some(cpu) if !cpu_is_right(cpu.seconds, cpu.limit_cores) => Err(WindowError::Cpu),
        _ => Ok(()),
    }
}

fn route(entry: &Route) -> Result<(), WindowError> {
    name("route", &entry.route, ROUTE_BYTES_MAX)?;
    at_most("codes", entry.codes.len(), CODES_MAX)?;
    let codes = entry
        .codes
        .values()
        .fold(0_u64, |sum, n| sum.saturating_add(*n));
    let latency = entry.latency.as_ref().and_then(Latency::total).unwrap_or(0);
    for (part, count) in [
        ("errors", entry.errors),
        ("codes", codes),
        ("latency", latency),
    ] {
        if count > entry.requests {
            let (route, requests) = (entry.route.clone(), entry.requests);
            return Err(WindowError::Exceeds {
                route,
                part,
                count,
                requests,
            });
        }
    }
    match &entry.latency {
        Some(latency) => sketch(&entry.route, latency),
        None => Ok(()),
    }
}

fn sketch(route: &str, latency: &Latency) -> Result<(), WindowError> {
    let route = || route.to_owned();
    match latency {
        Latency::Explicit(explicit) => {
            let (bounds, counts) = (&explicit.bounds_seconds, explicit.counts.len());
            at_most("buckets", counts, BUCKETS_MAX)?;
            if counts != bounds.len() + 1 {
                return Err(WindowError::CountsLength {
                    route: route(),
                    bounds: bounds.len(),
                    counts,
                });
            }
            let rising = bounds
                .windows(2)
                .all(|pair| matches!(pair, [low, high] if low < high));
            let positive = bounds
                .iter()
                .all(|bound| bound.is_finite() && *bound >= 0.0);
            if rising && positive {
                Ok(())
            } else {
                Err(WindowError::Bounds { route: route() })
            }
        }
        Latency::Exponential(exponential) => {
            at_most("buckets", exponential.counts.len(), BUCKETS_MAX)?;
            let end = i64::from(exponential.offset) + exponential.counts.len() as i64;
            let fits = (-10..=20).contains(&exponential.scale) && i32::try_from(end).is_ok();
            if fits {
                Ok(())
            } else {
                Err(WindowError::Scale { route: route() })
            }
        }
        Latency::Hdr(_) => Ok(()),
    }
}

fn cpu_is_right(seconds: f64, limit_cores: Option<f64>) -> bool {
    let limit_is_right = limit_cores.is_none_or(|limit| limit.is_finite() && limit > 0.0);
    seconds.is_finite() && seconds >= 0.0 && limit_is_right
}

fn name(field: &'static str, text: &str, max: usize) -> Result<(), WindowError> {
    let right = (1..=max).contains(&text.len());
    if right {
        Ok(())
    } else {
        Err(WindowError::Name { field, max })
    }
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), WindowError> {
    if count <= max {
        Ok(())
    } else {
        Err(WindowError::TooMany { what, max })
    }
}
