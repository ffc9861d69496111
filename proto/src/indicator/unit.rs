//! Units of time in metric metadata and names.

/// Units as OTLP (UCUM) and OpenMetrics write them, with their length in seconds.
const UNITS: [(&str, f64); 10] = [
    ("s", 1.0),
    ("seconds", 1.0),
    ("second", 1.0),
    ("ms", 1e-3),
    ("milliseconds", 1e-3),
    ("us", 1e-6),
    ("microseconds", 1e-6),
    ("ns", 1e-9),
    ("nanoseconds", 1e-9),
    ("min", 60.0),
];

/// Names whose unit is a convention that neither metadata nor suffix repeats.
const CONVENTIONS: [(&str, f64); 6] = [
    ("http.server.request.duration", 1.0),
    ("rpc.server.call.duration", 1.0),
    ("http.server.duration", 1e-3),
    ("rpc.server.duration", 1e-3),
    ("http_server_duration", 1e-3),
    ("rpc_server_duration", 1e-3),
];

/// Seconds in one unit of a duration metric: the unit of its metadata, else the name's suffix, else
/// the convention of that name, else seconds. `None` when the metadata names something that is no
/// time.
pub fn seconds_per_unit(name: &str, unit: &str) -> Option<f64> {
    let of = |text: &str| {
        UNITS
            .iter()
            .find(|(known, _)| *known == text)
            .map(|(_, s)| *s)
    };
    if !unit.is_empty() && unit != "1" {
        return of(unit);
    }
    let base = name.strip_suffix("_total").unwrap_or(name);
    let suffix = base.rsplit('_').next().filter(|suffix| *suffix != base);
    let convention = CONVENTIONS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, s)| *s);
    Some(suffix.and_then(of).or(convention).unwrap_or(1.0))
}
