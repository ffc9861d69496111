//! Which metric is the latency, which attribute the route, and what counts as an error.
//!
//! Lists are tried in order, the first present name wins. They hold OpenTelemetry's names, those
//! names as Prometheus writes them, and what Go's usual instrumentation calls the same things.

mod status;
mod unit;

pub use status::{
    DEFAULT_HTTP_ERRORS, DEFAULT_RPC_ERRORS, ErrorRules, HttpPattern, RuleError, grpc_code,
    grpc_code_name, http_class,
};
pub use unit::seconds_per_unit;

/// The two protocols whose requests are judged.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// HTTP requests.
    Http,
    /// gRPC calls.
    Rpc,
}

/// Names of a protocol's metrics and attributes, each list in order of preference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Names {
    /// Histograms of the server's request duration.
    pub duration: &'static [&'static str],
    /// Counters of requests with a status, for histograms that have none.
    pub requests: &'static [&'static str],
    /// Attributes that hold the route (HTTP) or the method (RPC).
    pub route: &'static [&'static str],
    /// Attributes that hold what stands before the route: HTTP method or RPC service.
    pub qualifier: &'static [&'static str],
    /// Attributes that hold the status.
    pub status: &'static [&'static str],
}

/// Names of HTTP servers.
pub const HTTP: Names = Names {
    duration: &[
        "http.server.request.duration",
        "http_server_request_duration_seconds",
        "http_server_request_duration",
        "http_request_duration_seconds",
        "http.server.duration",
        "http_server_duration_milliseconds",
        "http_server_duration_seconds",
        "http_server_duration",
        "http_request_duration_milliseconds",
        "http_request_duration_ms",
        "http_server_requests_seconds",
        "http_server_handling_seconds",
        "http_server_request_duration_milliseconds",
        "http_server_request_duration_ms",
        "http_response_time_seconds",
        "http_request_latency_seconds",
        "request_duration_seconds",
        "request_duration_milliseconds",
        "gin_request_duration_seconds",
        "echo_request_duration_seconds",
    ],
    requests: &[
        "http.server.requests",
        "http_server_requests_total",
        "http_server_requests",
        "http_requests_total",
        "http_requests",
        "http_request_total",
        "requests_total",
        "gin_requests_total",
        "echo_requests_total",
    ],
    route: &[
        "http.route",
        "http_route",
        "route",
        "handler",
        "path",
        "endpoint",
        "url",
    ],
    qualifier: &[
        "http.request.method",
        "http_request_method",
        "http.method",
        "http_method",
        "method",
    ],
    status: &[
        "http.response.status_code",
        "http_response_status_code",
        "http.status_code",
        "http_status_code",
        "code",
        "status",
        "status_code",
    ],
};

/// Names of gRPC servers.
pub const RPC: Names = Names {
    duration: &[
        "rpc.server.call.duration",
        "rpc_server_call_duration_seconds",
        "rpc_server_call_duration",
        "rpc.server.duration",
        "rpc_server_duration_seconds",
        "rpc_server_duration_milliseconds",
        "rpc_server_duration",
        "grpc_server_handling_seconds",
        "grpc.server.call.duration",
        "grpc_server_call_duration_seconds",
    ],
    requests: &[
        "rpc.server.requests",
        "rpc_server_requests_total",
        "grpc_server_handled_total",
        "grpc_server_handled",
    ],
    route: &["rpc.method", "rpc_method", "grpc_method", "grpc.method"],
    qualifier: &["rpc.service", "rpc_service", "grpc_service", "grpc.service"],
    status: &[
        "rpc.response.status_code",
        "rpc_response_status_code",
        "rpc.grpc.status_code",
        "rpc_grpc_status_code",
        "grpc_code",
        "grpc.status",
        "grpc_status",
    ],
};

/// Sums of the process's CPU seconds.
pub const CPU_SECONDS: &[&str] = &[
    "process.cpu.time",
    "process_cpu_seconds_total",
    "process_cpu_seconds",
    "process_cpu_time_seconds_total",
    "process_cpu_time",
    "container.cpu.time",
];

/// Gauges of the CPU limit, in cores.
pub const CPU_LIMIT: &[&str] = &["davy.cpu.limit", "davy_cpu_limit"];

/// Gauges of the process's start, in seconds since the Unix epoch.
pub const START_TIME: &[&str] = &["process_start_time_seconds", "process.start_time"];

/// Name of the route that holds what exceeds the number of routes.
pub const ROUTE_OTHER: &str = "other";

/// Routes that are nobody's request: probes, metrics, profiles. A `*` at the end matches the rest.
pub const EXCLUDED_ROUTES: &[&str] = &["/metrics", "/healthz", "/readyz", "/livez", "/debug/*"];

impl Protocol {
    /// Both, HTTP first.
    pub const ALL: [Self; 2] = [Self::Http, Self::Rpc];

    /// The names to look for.
    pub const fn names(self) -> &'static Names {
        match self {
            Self::Http => &HTTP,
            Self::Rpc => &RPC,
        }
    }
}

/// The protocol of a duration histogram and how much that name is preferred: 0 is most.
pub fn duration_rank(metric: &str) -> Option<(Protocol, usize)> {
    rank(metric, |names| names.duration)
}

/// The protocol of a request counter and how much that name is preferred: 0 is most.
pub fn requests_rank(metric: &str) -> Option<(Protocol, usize)> {
    rank(metric, |names| names.requests)
}

/// The value of the first attribute of the list that is there.
pub fn first_of<'a, T>(names: &[&str], attribute: impl Fn(&str) -> Option<&'a T>) -> Option<&'a T>
where
    T: ?Sized,
{
    names.iter().find_map(|name| attribute(name))
}

/// The key of a route: `GET /buy`, or `shop.Cart/Add` of an RPC. Unknown parts are left out; with
/// neither the key is `other`.
pub fn route_key(protocol: Protocol, qualifier: Option<&str>, route: Option<&str>) -> String {
    let (qualifier, route) = (qualifier.unwrap_or_default(), route.unwrap_or_default());
    let mark = match protocol {
        Protocol::Http => " ",
        Protocol::Rpc => "/",
    };
    match (qualifier, route) {
        ("", "") => ROUTE_OTHER.to_owned(),
        ("", only) | (only, "") => only.to_owned(),
        // A route of Go's own mux carries its method: `GET /orders/{id}`; an RPC its service.
        (before, whole) if whole.starts_with(&format!("{before}{mark}")) => whole.to_owned(),
        (before, route) => format!("{before}{mark}{route}"),
    }
}

/// Whether a route, without its method, is one of the patterns.
pub fn is_excluded(route: &str, patterns: &[impl AsRef<str>]) -> bool {
    let path = route
        .find('/')
        .map_or(route, |at| route.get(at..).unwrap_or(route));
    patterns
        .iter()
        .any(|pattern| match pattern.as_ref().strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == pattern.as_ref(),
        })
}

fn rank(
    metric: &str,
    list: impl Fn(&Names) -> &'static [&'static str],
) -> Option<(Protocol, usize)> {
    Protocol::ALL.into_iter().find_map(|protocol| {
        let at = list(protocol.names())
            .iter()
            .position(|name| *name == metric)?;
        Some((protocol, at))
    })
}

#[cfg(test)]
mod tests;
