//! What rules make of families and points.

use expect_test::{Expect, expect};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::exposition::{Options, PageError, parse};
use crate::relabel::{Action, Rule, RuleText, Rules, TargetLabels};
use crate::translate::print::lines;
use crate::translate::{Identity, ScrapeStats, Translator, convert};

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const WIRE: &str = "application/vnd.google.protobuf; \
    proto=io.prometheus.client.MetricFamily; encoding=delimited";
const AT: u64 = 1_700_000_000_000_000_000;

fn rule(text: RuleText) -> Rule {
    Rule::new(text).expect("a rule")
}

fn with(action: Action, regex: &str) -> RuleText {
    RuleText {
        action: Some(action),
        regex: Some(regex.to_owned()),
        ..RuleText::default()
    }
}

/// Drops or keeps series by name.
fn named(action: Action, regex: &str) -> Rule {
    rule(RuleText {
        source_labels: Some(vec!["__name__".to_owned()]),
        ..with(action, regex)
    })
}

fn renamed(regex: &str, replacement: &str) -> Rule {
    rule(RuleText {
        source_labels: Some(vec!["__name__".to_owned()]),
        target_label: "__name__".to_owned(),
        replacement: Some(replacement.to_owned()),
        ..with(Action::Replace, regex)
    })
}

fn without(labels: &str) -> Rule {
    rule(with(Action::LabelDrop, labels))
}

fn target() -> TargetLabels {
    TargetLabels {
        job: "shop".to_owned(),
        instance: "h:80".to_owned(),
        address: "h:80".to_owned(),
        scheme: "http".to_owned(),
        metrics_path: "/metrics".to_owned(),
    }
}

/// Translates a page after the rules; says what is sent, then the counts.
fn relabeled(kind: &str, page: &str, rules: Vec<Rule>) -> Result<String, PageError> {
    let rules = Rules::new(rules, target());
    let page = parse(page.as_bytes(), Some(kind), &Options::LENIENT)?;
    let page = page.relabel(&rules)?;
    let mut translator = Translator::new(Identity::default());
    let stats = ScrapeStats {
        duration_seconds: 0.0,
    };
    let translated = translator.translate(&page, AT, &stats);
    let all = lines(&translated.request);
    let own = |line: &&str| !line.starts_with("scrape_") && !line.starts_with("up");
    let mut all: Vec<String> = all.lines().filter(own).map(str::to_owned).collect();
    let (counts, doubled) = (page.counts(), page.tally.duplicates);
    let (scraped, kept) = (counts.scraped, counts.kept);
    all.push(format!(
        "{scraped} scraped, {kept} left, {doubled} doubled\n"
    ));
    Ok(all.join("\n"))
}

#[track_caller]
fn check(kind: &str, page: &str, rules: Vec<Rule>, expected: &Expect) {
    expected.assert_eq(&relabeled(kind, page, rules).unwrap_or_else(|error| error.to_string()));
}

const HISTOGRAM: &str = "# HELP h Time.\n# TYPE h histogram\n\
    h_bucket{route=\"a\",le=\"1\"} 1\nh_bucket{route=\"a\",le=\"2\"} 3\n\
    h_bucket{route=\"a\",le=\"+Inf\"} 4\nh_sum{route=\"a\"} 9\nh_count{route=\"a\"} 4\n\
    h_bucket{route=\"b\",le=\"5\"} 1\nh_bucket{route=\"b\",le=\"+Inf\"} 2\nh_count{route=\"b\"} 2\n";
const SUMMARY: &str = "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\n";
const COUNTER: &str = "# TYPE c counter\nc_total{x=\"a\"} 5\nc_created{x=\"a\"} 1600000000\n\
    c_total{x=\"b\"} 6\nc_created{x=\"b\"} 1700000000\n# EOF\n";

/// Guarantees: a family that is renamed as a whole stays what it is.
#[test]
fn whole_families_are_renamed() {
    check(
        TEXT,
        HISTOGRAM,
        vec![renamed("h(_.*)", "http$1")],
        &expect![[r#"
            resource
            scope davy-agent
            http{route="a"} histogram count 4 sum 9 [≤1: 1, ≤2: 2, ≤inf: 1]
            http{route="b"} histogram count 2 [≤5: 1, ≤inf: 1]
            8 scraped, 8 left, 0 doubled
        "#]],
    );
    check(
        TEXT,
        SUMMARY,
        vec![renamed("s(.*)", "r$1")],
        &expect![[r#"
        resource
        scope davy-agent
        r summary count 3 sum 2 [0.5: 1]
        3 scraped, 3 left, 0 doubled
    "#]],
    );
    check(
        OPEN,
        COUNTER,
        vec![renamed("c_total", "d_total")],
        &expect![[r#"
            resource
            scope davy-agent
            d_total{x="a"} counter 5
            d_total{x="b"} counter 6
            4 scraped, 4 left, 0 doubled
        "#]],
    );
    check(
        OPEN,
        COUNTER,
        vec![renamed("c_total", "d")],
        &expect![[r#"
        resource
        scope davy-agent
        d{x="a"} counter 5
        d{x="b"} counter 6
        4 scraped, 4 left, 0 doubled
    "#]],
    );
}

/// Guarantees: buckets that are dropped leave a histogram that is coarser and still true.
#[test]
fn buckets_may_go() {
    check(
        TEXT,
        HISTOGRAM,
        vec![named(Action::Drop, "h_bucket")],
        &expect![[r#"
            resource
            scope davy-agent
            h{route="a"} histogram count 4 sum 9 [≤inf: 4]
            h{route="b"} histogram count 2 [≤inf: 2]
            8 scraped, 3 left, 0 doubled
        "#]],
    );
    let le = rule(RuleText {
        source_labels: Some(vec!["le".to_owned()]),
        ..with(Action::Drop, r"1\.0|\+Inf")
    });
    check(
        TEXT,
        HISTOGRAM,
        vec![le],
        &expect![[r#"
        resource
        scope davy-agent
        h{route="a"} histogram count 4 sum 9 [≤2: 3, ≤inf: 1]
        h{route="b"} histogram count 2 [≤5: 1, ≤inf: 1]
        8 scraped, 5 left, 0 doubled
    "#]],
    );
    check(
        TEXT,
        HISTOGRAM,
        vec![named(Action::Keep, "h_(count|sum)")],
        &expect![[r#"
            resource
            scope davy-agent
            h{route="a"} histogram count 4 sum 9 [≤inf: 4]
            h{route="b"} histogram count 2 [≤inf: 2]
            8 scraped, 3 left, 0 doubled
        "#]],
    );
}

/// Guarantees: what is no part of a point any more is sent as Prometheus stores it, and said.
#[test]
fn samples_leave_their_family() {
    check(
        TEXT,
        HISTOGRAM,
        vec![named(Action::Drop, "h_count")],
        &expect![[r#"
            resource
            scope davy-agent
            h_bucket{le="1.0", route="a"} gauge 1
            h_bucket{le="2.0", route="a"} gauge 3
            h_bucket{le="+Inf", route="a"} gauge 4
            h_bucket{le="5.0", route="b"} gauge 1
            h_bucket{le="+Inf", route="b"} gauge 2
            h_sum{route="a"} gauge 9
            8 scraped, 6 left, 0 doubled
        "#]],
    );
    check(
        TEXT,
        HISTOGRAM,
        vec![renamed("h_count", "requests")],
        &expect![[r#"
            resource
            scope davy-agent
            h_bucket{le="1.0", route="a"} gauge 1
            h_bucket{le="2.0", route="a"} gauge 3
            h_bucket{le="+Inf", route="a"} gauge 4
            h_bucket{le="5.0", route="b"} gauge 1
            h_bucket{le="+Inf", route="b"} gauge 2
            h_sum{route="a"} gauge 9
            requests{route="a"} gauge 4
            requests{route="b"} gauge 2
            8 scraped, 8 left, 0 doubled
        "#]],
    );
    check(
        TEXT,
        HISTOGRAM,
        vec![without("le")],
        &expect![[r#"
        resource
        scope davy-agent
        h_bucket{route="a"} gauge 1
        h_bucket{route="b"} gauge 1
        h{route="a"} histogram count 4 sum 9 [≤inf: 4]
        h{route="b"} histogram count 2 [≤inf: 2]
        8 scraped, 5 left, 3 doubled
    "#]],
    );
    check(
        TEXT,
        SUMMARY,
        vec![renamed("s", "r")],
        &expect![[r#"
        resource
        scope davy-agent
        r{quantile="0.5"} gauge 1
        s summary count 3 sum 2 []
        3 scraped, 3 left, 0 doubled
    "#]],
    );
}

/// Guarantees: of two points that become one the first is kept whole, and the other is counted.
#[test]
fn points_that_become_one() {
    check(
        TEXT,
        HISTOGRAM,
        vec![without("route")],
        &expect![[r#"
        resource
        scope davy-agent
        h histogram count 4 sum 9 [≤1: 1, ≤2: 2, ≤inf: 1]
        8 scraped, 5 left, 3 doubled
    "#]],
    );
    check(
        OPEN,
        COUNTER,
        vec![without("x")],
        &expect![[r#"
        resource
        scope davy-agent
        c_total counter 5
        4 scraped, 2 left, 2 doubled
    "#]],
    );
    check(
        TEXT,
        "a 1\nb 2\n",
        vec![renamed("b", "a")],
        &expect![[r#"
        resource
        scope davy-agent
        a gauge 1
        2 scraped, 1 left, 1 doubled
    "#]],
    );
}

/// Guarantees: the start of a point stays with it.
#[test]
fn created_goes_with_its_point() {
    check(
        OPEN,
        COUNTER,
        vec![named(Action::Drop, "c_created")],
        &expect![[r#"
            resource
            scope davy-agent
            c_total{x="a"} counter 5
            c_total{x="b"} counter 6
            4 scraped, 2 left, 0 doubled
        "#]],
    );
    let only_b = rule(RuleText {
        source_labels: Some(vec!["x".to_owned()]),
        ..with(Action::Keep, "b")
    });
    check(
        OPEN,
        COUNTER,
        vec![only_b],
        &expect![[r#"
        resource
        scope davy-agent
        c_total{x="b"} counter 6
        4 scraped, 2 left, 0 doubled
    "#]],
    );
}

/// Guarantees: the same, seen in the points, when they are renamed and `_created` is dropped.
#[test]
fn starts_survive_the_rules() {
    let rules = vec![
        named(Action::Drop, "c_created"),
        renamed("c_total", "d_total"),
        without("y"),
    ];
    let rules = Rules::new(rules, target());
    let page = parse(COUNTER.as_bytes(), Some(OPEN), &Options::LENIENT).expect("a page");
    let page = page.relabel(&rules).expect("it has names");
    let (metrics, _) = convert(&page, &Identity::default(), AT);
    let metric = &metrics.scope_metrics[0].metrics[0];
    let Some(Data::Sum(sum)) = &metric.data else {
        panic!("{metric:?}");
    };
    let starts = sum
        .data_points
        .iter()
        .map(|point| point.start_time_unix_nano);
    let expected = [1_600_000_000, 1_700_000_000].map(|seconds: u64| seconds * 1_000_000_000);
    assert_eq!(metric.name, "d_total");
    assert_eq!(starts.collect::<Vec<_>>(), expected);
}

/// Guarantees: a scrape that would have series without a name fails, as Prometheus's does.
#[test]
fn names_are_mandatory() {
    check(
        TEXT,
        "a 1\nb{x=\"y\"} 2\n",
        vec![without("__name__")],
        &expect!["line 1: relabel rules leave the series without a name"],
    );
    let map = rule(RuleText {
        replacement: Some("$1".to_owned()),
        ..with(Action::LabelMap, "x(.*)")
    });
    check(
        TEXT,
        "b{x=\"y\"} 2\n",
        vec![map],
        &expect!["line 1: relabel rules leave a label without a name"],
    );
    check(
        TEXT,
        "b{x=\"y\"} 2\n",
        vec![rule(with(Action::LabelKeep, "q"))],
        &expect![[r#"
            resource
            scope davy-agent
            1 scraped, 0 left, 0 doubled
        "#]],
    );
}

/// Guarantees: rules see the target's labels, which are no attributes afterwards; a page's own
/// `job` and `instance` keep out of their way.
#[test]
fn labels_of_the_target() {
    let page = "a{job=\"x\",instance=\"y\"} 1\n";
    let copy = |source: &str, to: &str| {
        rule(RuleText {
            source_labels: Some(vec![source.to_owned()]),
            target_label: to.to_owned(),
            ..RuleText::default()
        })
    };
    check(
        TEXT,
        page,
        vec![copy("job", "of")],
        &expect![[r#"
        resource
        scope davy-agent
        a{exported_instance="y", exported_job="x", of="shop"} gauge 1
        1 scraped, 1 left, 0 doubled
    "#]],
    );
    check(
        TEXT,
        page,
        vec![copy("__address__", "at"), without("exported_.*")],
        &expect![[r#"
            resource
            scope davy-agent
            a{at="h:80"} gauge 1
            1 scraped, 1 left, 0 doubled
        "#]],
    );
    check(
        TEXT,
        page,
        vec![copy("exported_job", "job"), without("exported_.*")],
        &expect![[r#"
            resource
            scope davy-agent
            a{exported_job="x"} gauge 1
            1 scraped, 1 left, 0 doubled
        "#]],
    );
    check(
        TEXT,
        page,
        vec![rule(with(Action::LabelKeep, "__name__"))],
        &expect![[r#"
            resource
            scope davy-agent
            a gauge 1
            1 scraped, 1 left, 0 doubled
        "#]],
    );
}

/// Guarantees: a native histogram is one series, and what stands beside it goes with it.
#[test]
fn native_histograms_are_one_series() {
    let page = include_bytes!("../../../../../tests/corpora/goapp.pb");
    let of = |rules: Vec<Rule>| {
        let rules = Rules::new(rules, target());
        let page = parse(page, Some(WIRE), &Options::LENIENT).expect("a page");
        let page = page.relabel(&rules).expect("it has names");
        let natives: Vec<&str> = page
            .natives()
            .iter()
            .map(|native| page.families[native.family as usize].name.as_ref())
            .collect();
        let beside = page
            .samples
            .iter()
            .filter(|sample| page.native(sample).is_some());
        (natives.join(","), beside.count(), page.counts())
    };
    let all = of(vec![]);
    assert!(all.2.kept > 0 && all.2.kept == all.2.scraped, "{all:?}");
    let (names, beside, counts) = of(vec![named(Action::Drop, ".*_bucket|.*_count")]);
    assert_eq!(
        (&names, beside),
        (&all.0, all.1),
        "no name of theirs was dropped"
    );
    assert!(counts.kept < all.2.kept);
    let first = all.0.split(',').next().expect("a native histogram");
    let (names, beside, _) = of(vec![renamed(first, "other")]);
    assert_eq!((names, beside), (all.0.replace(first, "other"), all.1));
    let (names, _, counts) = of(vec![named(Action::Drop, first)]);
    let gone = all.0.split(',').filter(|name| *name == first).count();
    assert!(!names.contains(first), "{names}");
    assert_eq!(counts.kept, all.2.kept - gone);
}
