use super::*;

#[test]
fn http_statuses() {
    let rules = ErrorRules::default();
    for (status, expected) in [
        ("500", true),
        ("503", true),
        ("5xx", true),
        ("5XX", true),
        ("404", false),
        ("4xx", false),
        ("200", false),
        ("", false),
        ("50", false),
        ("5000", false),
        ("abc", false),
        ("５00", false),
    ] {
        assert_eq!(rules.is_http_error(status), expected, "{status}");
    }
    let narrow = ErrorRules::new(&["503", "429"], &[]).unwrap();
    assert!(narrow.is_http_error("429") && !narrow.is_http_error("500"));
    assert!(!narrow.is_http_error("5xx"));
}

#[test]
fn grpc_statuses() {
    let rules = ErrorRules::default();
    for (status, expected) in [
        ("Unavailable", true),
        ("UNAVAILABLE", true),
        ("14", true),
        ("DeadlineExceeded", true),
        ("DEADLINE_EXCEEDED", true),
        ("OK", false),
        ("0", false),
        ("Canceled", false),
        ("NOT_FOUND", false),
        ("17", false),
        ("", false),
    ] {
        assert_eq!(rules.is_rpc_error(status), expected, "{status}");
    }
    assert_eq!(grpc_code("Canceled"), Some(1));
    assert_eq!(grpc_code_name(14), Some("UNAVAILABLE"));
}

#[test]
fn rules_name_what_they_refuse() {
    let http = ErrorRules::new(&["5xx", "6x"], &[]);
    assert_eq!(http, Err(RuleError::Http("6x".to_owned())));
    let rpc = ErrorRules::new(&[], &["NOPE"]);
    assert_eq!(rpc, Err(RuleError::Rpc("NOPE".to_owned())));
}

#[test]
fn units() {
    for (name, unit, expected) in [
        ("http.server.request.duration", "s", Some(1.0)),
        ("http.server.request.duration", "", Some(1.0)),
        ("http.server.duration", "", Some(1e-3)),
        ("http.server.duration", "s", Some(1.0)),
        ("http_request_duration_seconds", "", Some(1.0)),
        ("http_request_duration_milliseconds", "", Some(1e-3)),
        ("http_request_duration_ms", "", Some(1e-3)),
        ("http_request_duration_ms", "1", Some(1e-3)),
        ("rpc.server.duration", "", Some(1e-3)),
        ("rpc.server.duration", "ms", Some(1e-3)),
        ("request_latency", "", Some(1.0)),
        ("request_latency", "By", None),
    ] {
        assert_eq!(seconds_per_unit(name, unit), expected, "{name} {unit}");
    }
}

#[test]
fn routes() {
    let key = |protocol, before, route| route_key(protocol, before, route);
    assert_eq!(key(Protocol::Http, Some("GET"), Some("/buy")), "GET /buy");
    assert_eq!(
        key(Protocol::Http, Some("GET"), Some("GET /buy")),
        "GET /buy"
    );
    assert_eq!(key(Protocol::Http, None, Some("/buy")), "/buy");
    assert_eq!(key(Protocol::Http, Some("GET"), None), "GET");
    assert_eq!(key(Protocol::Http, None, None), "other");
    assert_eq!(
        key(Protocol::Rpc, Some("shop.Cart"), Some("Add")),
        "shop.Cart/Add"
    );
    assert_eq!(
        key(Protocol::Rpc, Some("shop.Cart"), Some("shop.Cart/Add")),
        "shop.Cart/Add"
    );
}

#[test]
fn excluded_routes() {
    for (route, expected) in [
        ("/metrics", true),
        ("GET /metrics", true),
        ("/debug/pprof/heap", true),
        ("/debug", false),
        ("/metrics2", false),
        ("GET /buy", false),
        ("other", false),
    ] {
        assert_eq!(is_excluded(route, EXCLUDED_ROUTES), expected, "{route}");
    }
}

#[test]
fn ranks() {
    assert_eq!(
        duration_rank("http.server.request.duration"),
        Some((Protocol::Http, 0))
    );
    assert_eq!(
        duration_rank("rpc.server.call.duration"),
        Some((Protocol::Rpc, 0))
    );
    assert_eq!(
        requests_rank("grpc_server_handled_total"),
        Some((Protocol::Rpc, 2))
    );
    assert_eq!(duration_rank("go_goroutines"), None);
}
