use super::*;

#[test]
fn names_are_those_users_rely_on() {
    let telemetry = Telemetry::new();
    telemetry.dropped(Signal::Traces, "a\"b", DropReason::QueueFull, 3);
    telemetry.rejected(Signal::Logs, "c", 1);
    let text = telemetry.encode();
    let dropped = "{signal=\"traces\",destination=\"a\\\"b\",reason=\"queue_full\"} 3";
    let help = "Points, log records and spans that were dropped, by reason.";
    for line in [
        format!("davy_agent_dropped_items_total{dropped}"),
        "davy_agent_rejected_items_total{signal=\"logs\",destination=\"c\"} 1".to_owned(),
        format!("# HELP davy_agent_dropped_items {help}"),
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
    }
    assert!(text.contains("davy_agent_build_info{version=\""), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

/// Guarantees: the guide lists every metric.
#[test]
fn the_guide_is_complete() {
    let guide = include_str!("../../../docs/telemetry.md");
    for (name, help) in METRICS {
        let listed = [format!("`{name}`"), format!("`{name}_total`")];
        assert!(
            listed.iter().any(|name| guide.contains(name)),
            "docs/telemetry.md lacks {name}"
        );
        assert!(help.trim().ends_with('.'), "{name}: a sentence");
    }
}
