use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;

use crate::{Collector, Node, Origin, parse};

const PROTOCOLS: &[(&str, u8)] = &[("grpc", 0), ("http/protobuf", 1), ("http/json", 2)];

/// Reads everything a reader can, as a program would.
fn read(root: &Node, collector: &Collector) -> usize {
    let mut top = collector.reader(root);
    top.version(1);
    let mut count = top.texts("resource", false).len();
    for mut export in top.each("export") {
        let _ = export.required("endpoint", |text| Ok(text.to_owned()));
        let _ = export.choice("protocol", PROTOCOLS);
        let _ = export.texts("headers", true);
        let _ = export.list("signals", |text| Ok(text.len()));
        let _ = export.duration(
            "timeout",
            Duration::from_millis(1)..=Duration::from_secs(60),
            Duration::from_secs(10),
        );
        export.finish();
        count += 1;
    }
    let mut spool = top.nested("spool");
    let _ = spool.size("max_bytes", 65536..=1 << 40, 1 << 20);
    let _ = spool.bool("sync", false);
    let _ = spool.integer("files", 1..=9, 3);
    let _ = spool.float("share", 0.0..=1.0);
    let _ = spool.secret("token");
    spool.finish();
    let _ = top.socket("admin");
    let _ = top.url("gate");
    let _ = top.strings("routes", &["/metrics", "/healthz"]);
    top.finish();
    count
}

#[track_caller]
fn check_mistakes(text: &str, expected: &str) {
    let outcome = parse("davy.yaml", text, &|_| None).and_then(|document| {
        let collector = Collector::default();
        let count = read(&document.root, &collector);
        collector.finish(count)
    });
    assert_eq!(outcome.expect_err("a mistake").to_string(), expected);
}

#[test]
fn all_mistakes_at_once_each_with_its_line_and_key() {
    check_mistakes(
        r#"version: 2
resource: [a, b]
export:
  - endpont: "http://collector:4318"
    protocol: htp
    timeout: 5
  - {endpoint: [x], signals: [metrics, {a: b}], timeout: 2h}
  - http://collector:4318
spool: {max_bytes: 1KiB, sync: yes, files: 10, share: nan}
admin: localhost:9465
gate: davy-gate:4319
recieve: {}
zzzzzzzzzzzz: 1
"#,
        include_str!("golden/mistakes.txt").trim_end(),
    );
}

#[test]
fn what_is_no_tree_is_refused_with_its_line() {
    let missing = "davy.yaml:1: version: is missing; begin the file with `version: 1`";
    check_mistakes("spool: {}\n", missing);
    check_mistakes("", missing);
    check_mistakes(
        "version: 1\nspool: {a: [\n",
        "davy.yaml:2: not YAML: while parsing a node, did not find expected node content",
    );
    check_mistakes(
        "version: 1\r\nspool: {a:",
        "davy.yaml:2: not YAML: while parsing a node, did not find expected node content",
    );
    check_mistakes(
        "version: 1\na: &x {b: 1}\nc: *x\nd: !!str 1\nversion: 1\n? [k]\n: v\n",
        "davy.yaml:2: a: anchors are not supported\n\
         davy.yaml:3: c: aliases are not supported\n\
         davy.yaml:4: d: tags are not supported\n\
         davy.yaml:5: version: stands twice, first in line 1\n\
         davy.yaml:6: a key must be a word",
    );
    check_mistakes(
        "version: 1\n---\nversion: 1\n",
        "davy.yaml:3: a second document is not read; remove it",
    );
    check_mistakes(
        "[1]\n",
        "davy.yaml:1: expected a mapping of keys, found a list",
    );
    let deep = format!("version: 1\na: {}{}", "[".repeat(40), "]".repeat(40));
    let mistakes = parse("f", &deep, &|_| None)
        .expect_err("too deep")
        .to_string();
    assert!(mistakes.contains("more than 32 levels"), "{mistakes}");
    let large = "x".repeat(crate::FILE_BYTES_MAX + 1);
    assert!(parse("f", &large, &|_| None).is_err());
}

#[test]
fn the_last_layer_wins_and_is_remembered() {
    let text = "version: 1\nspool: {max_bytes: 4MiB, token: hush}\n\
        export: [{endpoint: 'http://a', headers: {k: \"${env:KEY}\"}}]\n";
    let key = |name: &str| (name == "KEY").then(|| "secret".to_owned());
    let mut document = parse("davy.yaml", text, &key).expect("a tree");
    let from = |name: &str| Origin::Environment(name.to_owned());
    document.root.put(
        &["spool", "max_bytes"],
        Node::scalar("8MiB", from("DAVY_SPOOL_MAX_BYTES")),
    );
    document.root.put(
        &["admin"],
        Node::scalar("127.0.0.1:1", Origin::Flag("--admin".to_owned())),
    );
    for export in document.root.items_mut("export") {
        export.put(&["protocol"], Node::scalar("grpc", from("PROTOCOL")));
    }
    let collector = Collector::default();
    let count = read(&document.root, &collector);
    let (_, settings) = collector.finish(count).expect("no mistakes");
    let lines: Vec<String> = settings
        .iter()
        .map(|s| format!("{} = {} ({})", s.path, s.value, s.origin))
        .collect();
    expect![[r#"
        version = 1 (davy.yaml:1)
        export[0].endpoint = http://a (davy.yaml:3)
        export[0].protocol = grpc (PROTOCOL)
        export[0].headers.k = **** (davy.yaml:3)
        export[0].timeout = 10s (default)
        spool.max_bytes = 8MiB (DAVY_SPOOL_MAX_BYTES)
        spool.sync = false (default)
        spool.files = 3 (default)
        spool.token = **** (davy.yaml:2)
        admin = 127.0.0.1:1 (--admin)
        routes = [/metrics, /healthz] (default)"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn unset_variables_are_said_and_taken_as_empty() {
    let document = parse("f", "version: 1\nadmin: ${env:NOPE}\n", &|_| None).expect("a tree");
    assert_eq!(document.root.child("admin"), None);
    let warnings: Vec<String> = document.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["f:2: admin: environment variable NOPE is not set: taken as empty"]
    );
    let mistakes = parse("f", "a: ${file:/x}\n", &|_| None)
        .expect_err("a mistake")
        .to_string();
    assert_eq!(
        mistakes,
        "f:1: a: unknown source `file:` in `${file:/x}`; expected `env:`"
    );
}

#[test]
fn urls_are_endpoints() {
    for good in [
        "http://a",
        "https://a:1/b",
        "http://[::1]:4318",
        "http://1.2.3.4:80",
        "http://a/",
    ] {
        assert_eq!(
            super::scalar::parse_url(good),
            Ok(good.trim_end_matches('/').to_owned())
        );
    }
    for bad in [
        "",
        "a",
        "ftp://a",
        "http://",
        "http://a:x",
        "http://a:99999",
        "http://::1:1",
        "http://u@a",
        "http://a?b",
        "http://ä",
    ] {
        assert!(super::scalar::parse_url(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC*") {
        if let Ok(document) = parse("f", &text, &|_| None) {
            let collector = Collector::default();
            read(&document.root, &collector);
        }
    }

    #[test]
    fn never_panics_near_a_configuration(parts in prop::collection::vec(0usize..24, 0..40)) {
        const WORDS: [&str; 24] = [
            "version", ":", " ", "\n", "  ", "- ", "{", "}", "[", "]", ",", "export", "spool",
            "max_bytes", "4MiB", "1", "'", "\"", "${env:A", "&a", "*a", "|", "?", "#",
        ];
        let text: String = parts.iter().filter_map(|i| WORDS.get(*i).copied()).collect();
        if let Ok(document) = parse("f", &text, &|_| None) {
            let collector = Collector::default();
            read(&document.root, &collector);
        }
    }
}
