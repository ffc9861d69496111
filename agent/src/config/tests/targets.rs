//! What a target may ask for beside its URL.

use std::path::Path;

use davy_agent_core::exposition::{DEFAULT_LIMITS, SeriesLimits};
use davy_agent_core::series::StartTimes;

use super::*;

const HEAD: &str = "version: 1\nexport: [{endpoint: 'http://a:1'}]\nscrape:\n";

fn targets(text: &str, variables: Variables<'_>) -> Vec<Target> {
    read(&format!("{HEAD}{text}"), variables).config.scrape
}

#[test]
fn a_target_is_as_before_without_the_keys() {
    let target = &targets("- {url: 'http://h/m'}\n", &[])[0];
    assert_eq!(target.limits, DEFAULT_LIMITS);
    assert_eq!(target.rules, []);
    assert!(target.honor_timestamps && target.socket.is_none());
    assert_eq!(target.start_times, StartTimes::Reported);
    assert_eq!(target.export_jitter, 0.1);
}

#[test]
fn rules_and_limits_are_read() {
    let text = "- url: 'http://h/m'\n  \
                relabel:\n  \
                - {source_labels: [__name__], regex: 'go_.*', action: DROP}\n  \
                - {source_labels: [a, b], separator: '', regex: '', target_label: x, replacement: ''}\n  \
                - {source_labels: [a], target_label: b, replacement: '$1-$${1}', modulus: 0}\n  \
                limits: {body: 1MiB, samples: 500000, labels: 100, label_value_length: 20}\n  \
                honor_timestamps: false\n  start_times: synthesized\n  export_jitter: 0\n";
    let target = &targets(text, &[])[0];
    assert_eq!(target.rules.len(), 3);
    let limits = target.limits;
    assert_eq!((limits.body_bytes, limits.samples), (1 << 20, 500_001));
    assert_eq!(
        (limits.labels_per_sample, limits.value_bytes),
        (100, 64 << 10)
    );
    let series = SeriesLimits {
        samples: 500_000,
        labels: 100,
        label_value_bytes: 20,
        ..SeriesLimits::NONE
    };
    assert_eq!(limits.series, series);
    assert!(!target.honor_timestamps);
    assert_eq!(target.start_times, StartTimes::Synthesized);
    assert_eq!(target.export_jitter, 0.0);
}

#[test]
fn a_socket_is_the_address() {
    let text = "- {url: 'http://shop/m'}\n- {url: 'http://shop:81/m'}\n";
    let targets = targets(text, &[("DAVY_SCRAPE_SOCKET", "/run/shop.sock")]);
    for target in &targets {
        assert_eq!(target.socket.as_deref(), Some(Path::new("/run/shop.sock")));
        assert!(target.is_local());
        let defaults = format!("{:?}", target.identity.defaults);
        assert!(defaults.contains("/run/shop.sock"), "{defaults}");
        assert!(!defaults.contains("server.port"), "{defaults}");
    }
    assert_eq!(targets[1].name, "shop:81");
}

#[test]
fn mistakes_name_key_and_line() {
    let long = "x".repeat(107);
    check_mistakes(
        &format!(
            "{HEAD}\
             - url: 'http://h/m'\n  \
             socket: run/app.sock\n  \
             relabel:\n  \
             - {{source_labels: [__name__], regex: 'go_(', action: drop}}\n  \
             - {{source_labels: [''], target_label: x}}\n  \
             - {{action: hashmod, source_labels: [a], target_label: b}}\n  \
             - {{action: labeldrop, regex: a, separator: x}}\n  \
             - {{action: keepequal, source_labels: [a], target_label: b, regex: '(.*)'}}\n  \
             - {{action: throw}}\n  \
             - {{source_labels: [a]}}\n  \
             - {{source_labels: [a], target_label: b, regex: '\\pL', modulus: -1}}\n  \
             - {{action: labelmap, regex: a, replacement: }}\n  \
             - {{action: labeldrop, regex: a, target_label: '', sourcelabels: [b]}}\n\
             - {{url: 'http://h/m', socket: '/{long}', limits: {{samples: 0, label: 3, labels: 2}}}}\n\
             - {{url: 'http://h/m', start_times: guessed, export_jitter: 60%, honor_timestamps: no}}\n"
        ),
        &[],
        &[
            "davy.yaml:5: scrape[0].socket: expected a path such as /run/app/metrics.sock, found \
             \"run/app.sock\"",
            "davy.yaml:7: scrape[0].relabel[0].regex: has a parenthesis that is not closed",
            "davy.yaml:8: scrape[0].relabel[1].source_labels: has a label without a name",
            "davy.yaml:9: scrape[0].relabel[2].modulus: is required by the action hashmod",
            "davy.yaml:10: scrape[0].relabel[3].separator: has no meaning for the action labeldrop",
            "davy.yaml:11: scrape[0].relabel[4].regex: has no meaning for the action keepequal",
            "davy.yaml:12: scrape[0].relabel[5].action: unknown action \"throw\"; expected one of \
             replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, \
             lowercase, uppercase",
            "davy.yaml:13: scrape[0].relabel[6].target_label: is required by the action replace",
            "davy.yaml:14: scrape[0].relabel[7].modulus: expected a whole number, found \"-1\"",
            "davy.yaml:14: scrape[0].relabel[7].regex: has a Unicode class, which is not known here; \
             list the ranges: `\\pL`",
            "davy.yaml:15: scrape[0].relabel[8].replacement: has no value; write \"\" for an empty one",
            "davy.yaml:16: scrape[0].relabel[9].sourcelabels: unknown key; did you mean \
             source_labels?",
            "davy.yaml:17: scrape[1].socket: has 108 bytes; a socket's path has at most 107",
            "davy.yaml:17: scrape[1].limits.samples: expected a whole number, 1 to 10000000, found \"0\"",
            "davy.yaml:17: scrape[1].limits.labels: expected a whole number, 3 to 1000, found \"2\"",
            "davy.yaml:17: scrape[1].limits.label: unknown key; did you mean labels?",
            "davy.yaml:18: scrape[2].honor_timestamps: expected true or false, found \"no\"",
            "davy.yaml:18: scrape[2].start_times: unknown start_times \"guessed\"; expected reported \
             or synthesized",
            "davy.yaml:18: scrape[2].export_jitter: expected a share of the interval, 0 to 0.5, found \
             \"60%\"",
        ],
    );
}
