//! The fast path beside the slow one.

use bytes::Bytes;
use prost::Message;

use super::*;
use crate::exposition::DEFAULT_LIMITS;
use crate::translate::items;

mod properties;

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const WIRE: &str = "application/vnd.google.protobuf; \
    proto=io.prometheus.client.MetricFamily; encoding=delimited";
const AT: u64 = 1_700_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// One target, scraped by both paths.
struct Both {
    slow: Translator,
    fast: Template,
    options: Options,
    at: u64,
}

impl Both {
    fn new() -> Self {
        let identity = Identity {
            agent_version: "1.2.3".to_owned(),
            ..Identity::default()
        };
        let series = crate::exposition::SeriesLimits {
            samples: 60,
            labels: 7,
            ..crate::exposition::SeriesLimits::NONE
        };
        let limits = crate::exposition::Limits {
            value_bytes: 40,
            samples: 400,
            series,
            ..DEFAULT_LIMITS
        };
        Self {
            slow: Translator::new(identity.clone()),
            fast: Template::new(identity),
            options: Options {
                limits,
                strict: false,
                honor_timestamps: true,
            },
            at: AT,
        }
    }

    fn stats(&mut self) -> ScrapeStats {
        self.at += SECOND;
        ScrapeStats {
            duration_seconds: (self.at / SECOND % 100) as f64 / 64.0,
        }
    }

    /// Scrapes a page; returns the bytes of it that the fast path read.
    #[track_caller]
    fn page(&mut self, content_type: &str, text: &[u8]) -> usize {
        let (stats, kind) = (self.stats(), Some(content_type));
        let page = parse(text, kind, &self.options);
        let slow = page.map(|page| {
            let translated = self.slow.translate(&page, self.at, &stats);
            (translated.payload, translated.notes, page.tally)
        });
        let fast = self
            .fast
            .translate(text, kind, &self.options, self.at, &stats);
        let shown = String::from_utf8_lossy(text);
        match (slow, fast) {
            (Ok((payload, notes, tally)), Ok(fast)) => {
                same(&payload, &fast.payload, &shown);
                assert_eq!((notes, tally), (fast.notes, fast.tally), "{shown}");
                fast.read
            }
            (Err(slow), Err(fast)) => {
                assert_eq!(slow, fast, "{shown}");
                self.failed();
                text.len()
            }
            (slow, fast) => panic!("{slow:?}\n{fast:?}\n{shown}"),
        }
    }

    #[track_caller]
    fn failed(&mut self) {
        let stats = self.stats();
        let slow = self.slow.failed(self.at, &stats);
        let fast = self.fast.failed(self.at, &stats);
        same(&slow.payload, &fast.payload, "failed");
    }
}

#[track_caller]
fn same(slow: &Payload, fast: &Payload, page: &str) {
    let decoded = |bytes: &Bytes| ExportMetricsServiceRequest::decode(bytes.clone()).unwrap();
    let (slow_request, fast_request) = (decoded(&slow.bytes), decoded(&fast.bytes));
    // As encoded, for NaN is not equal to itself.
    if slow_request.encode_to_vec() != fast_request.encode_to_vec() {
        let print = crate::translate::print::lines;
        let (slow, fast) = (print(&slow_request), print(&fast_request));
        assert_eq!(slow, fast, "{page}");
        assert_eq!(slow_request, fast_request, "{page}");
        panic!("{slow_request:#?}\n{fast_request:#?}");
    }
    assert_eq!(items(&fast_request), fast.items, "{page}");
    assert_eq!(slow.items, fast.items, "{page}");
}

/// Pages one after the other, each with the bytes of it that may be read.
#[track_caller]
fn check(content_type: &str, pages: &[(&str, usize)]) {
    let mut both = Both::new();
    for (page, read) in pages {
        assert_eq!(both.page(content_type, page.as_bytes()), *read, "{page}");
    }
}

/// Counters `c{x="…"}` with these labels and values.
fn counters(series: &[(&str, &str)]) -> String {
    let lines = series
        .iter()
        .map(|(label, value)| format!("c{{x=\"{label}\"}} {value}\n"));
    "# HELP c Things.\n# TYPE c counter\n".to_owned() + &lines.collect::<String>()
}

#[test]
fn new_values_are_put_in_place() {
    let first = counters(&[("a", "1"), ("b", "2")]);
    let second = counters(&[("a", "1e+06"), ("b", "0.25")]);
    let third = counters(&[("a", "NaN"), ("b", "-Inf")]);
    check(
        TEXT,
        &[
            (&first, first.len()),
            (&second, 0),
            (&third, 0),
            (&first, 0),
        ],
    );
}

#[test]
fn of_points_that_come_only_these_are_read() {
    let line = "c{x=\"b\"} 2\n".len();
    let ac = counters(&[("a", "1"), ("c", "3")]);
    let abc = counters(&[("a", "2"), ("b", "2"), ("c", "3")]);
    let bc = counters(&[("b", "5"), ("c", "3")]);
    let bd = counters(&[("b", "5"), ("d", "3")]);
    let none = counters(&[]);
    check(
        TEXT,
        &[
            (&ac, ac.len()),
            (&abc, line),
            (&abc, 0),
            (&bc, 0),
            (&bd, line),
            (&ac, 2 * line),
            (&none, none.len()),
            (&none, 0),
            (&bd, bd.len()),
        ],
    );
}

#[test]
fn points_that_only_moved_are_read_anew() {
    let ab = counters(&[("a", "1"), ("b", "2")]);
    let ba = counters(&[("b", "2"), ("a", "1")]);
    let spelled = ab.replace("c{x=\"b\"}", "c{ x=\"b\"}");
    let pages = [&ab, &ba, &ab, &spelled, &ab];
    check(TEXT, &pages.map(|page| (page.as_str(), page.len())));
}

#[test]
fn histograms_and_summaries_are_walked_too() {
    let page = |n: u64, extra: &str| {
        let (two, three) = (2 * n, 3 * n);
        format!(
            "# TYPE h histogram\nh_bucket{{x=\"a\",le=\"1\"}} {n}\nh_bucket{{x=\"a\",le=\"2.5\"}} {two}\n\
             h_bucket{{x=\"a\",le=\"+Inf\"}} {three}\nh_sum{{x=\"a\"}} 0.{n}\nh_count{{x=\"a\"}} {three}\n{extra}\
             # TYPE s summary\ns{{quantile=\"0.5\"}} {n}\ns{{quantile=\"0.9\"}} NaN\ns_sum 0\ns_count {n}\n"
        )
    };
    let more = "h_bucket{x=\"b\",le=\"1\"} 0\nh_bucket{x=\"b\",le=\"+Inf\"} 4\nh_sum{x=\"b\"} 4\nh_count{x=\"b\"} 4\n";
    let first = page(0, "");
    check(
        TEXT,
        &[
            (&first, first.len()),
            (&page(17, ""), 0),
            (&page(0, ""), 0),
            (&page(5, more), more.len()),
            (&page(6, more), 0),
            (&page(7, ""), 0),
        ],
    );
}

#[test]
fn a_family_that_changes_is_read_alone() {
    let page = |middle: &str| format!("# TYPE a gauge\na 1\n{middle}# TYPE z gauge\nz 1\n");
    let parts = [
        "# TYPE m counter\nm 1\n",
        "# HELP m Now with help.\n# TYPE m counter\nm 1\n",
        "# TYPE m gauge\nm 1\n",
        "# TYPE m gauge\nm 1\nm 2\nbad line\n",
        "",
        "# TYPE up gauge\nup 5\n",
        "# TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 1\n",
        "# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_count 2\n",
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_count 3\n",
        "# TYPE t gauge\nt 1 1700000000000\n",
    ];
    let mut both = Both::new();
    both.page(TEXT, page("").as_bytes());
    for part in parts {
        assert_eq!(both.page(TEXT, page(part).as_bytes()), part.len(), "{part}");
        assert_eq!(both.page(TEXT, page(part).as_bytes()), 0, "{part}");
    }
}

#[test]
fn families_that_change_places_are_not_read() {
    let [a, b, c] = ["a", "b", "c"].map(|name| format!("# TYPE {name} gauge\n{name} 1\n"));
    let pages = [
        (a.clone() + &b + &c, 42),
        (c.clone() + &a + &b, 0),
        (b + &c + &a, 0),
    ];
    let whole = pages[0].0.len();
    let pages = [
        (pages[0].0.as_str(), whole),
        (&pages[1].0, 0),
        (&pages[2].0, 0),
    ];
    check(TEXT, &pages);
}

#[test]
fn parts_that_depend_on_each_other_are_one() {
    let page = |n: u32| {
        format!(
            "# TYPE h histogram\nh_bucket{{le=\"+Inf\"}} {n}\nh_sum {n}\n# HELP h_count {n}.\nh_count {n}\n"
        )
    };
    let clash = |n: u32| {
        format!(
            "# TYPE h_count gauge\nh_count {n}\n# TYPE h histogram\nh_bucket{{le=\"+Inf\"}} {n}\nh_count {n}\n"
        )
    };
    let bare = |n: u32| format!("a {n}\nb {n}\na{{x=\"1\"}} {n}\n");
    let twice = |n: u32| format!("b {n}\n# TYPE b gauge\nb {n}\n");
    for page in [page as fn(u32) -> String, clash, bare, twice] {
        let mut both = Both::new();
        for n in [1, 2, 3, 3] {
            both.page(TEXT, page(n).as_bytes());
        }
        both.failed();
    }
    let mut both = Both::new();
    both.page(TEXT, clash(1).as_bytes());
    assert_eq!(both.page(TEXT, clash(2).as_bytes()), 0);
}

/// Guarantees: a part that is found further back is not taken for the one that comes after it, too.
#[test]
fn a_part_that_stands_twice_is_kept_twice() {
    let (a, b) = ("# TYPE a gauge\na 1\n", "# TYPE b bad\n");
    let c = "# TYPE c gauge\nc 1\n";
    let mut both = Both::new();
    for page in [&[a, b, c][..], &[b, a, b, c], &[b, a, c]] {
        both.page(TEXT, page.concat().as_bytes());
    }
}

#[test]
fn starts_move_with_resets_and_survive_failures() {
    let page = |value: u32, created: u32| {
        format!(
            "# TYPE c counter\nc_total{{x=\"a\"}} {value}\nc_created{{x=\"a\"}} {created}\n# EOF\n"
        )
    };
    let mut both = Both::new();
    for (value, created) in [
        (5, 100),
        (6, 100),
        (2, 100),
        (3, 100),
        (1, 200),
        (4, 50),
        (2, 50),
    ] {
        both.page(OPEN, page(value, created).as_bytes());
    }
    // A page that fails after a value was walked over leaves that value out of account.
    let broken = page(9, 50).replace(
        "# EOF",
        &format!("# TYPE z gauge\nz{{l=\"{}\"}} 1\n# EOF", "v".repeat(99)),
    );
    both.page(OPEN, broken.as_bytes());
    both.page(OPEN, page(3, 50).as_bytes());
    both.failed();
    both.page(OPEN, page(2, 50).as_bytes());
    assert_eq!(both.page(OPEN, page(3, 50).as_bytes()), 0);
}

#[test]
fn scrapes_fail_and_come_back() {
    let page = counters(&[("a", "1"), ("b", "2")]);
    let mut both = Both::new();
    both.failed();
    assert_eq!(both.page(TEXT, page.as_bytes()), page.len());
    both.failed();
    both.failed();
    assert_eq!(both.page(TEXT, page.as_bytes()), 0);
    assert_eq!(both.page(TEXT, b""), 0);
    both.failed();
    both.page(TEXT, page.as_bytes());
    both.page(TEXT, &page.as_bytes()[..page.len() - 4]);
    both.page(TEXT, page.as_bytes());
}

#[test]
fn the_target_may_describe_itself_otherwise() {
    let page = |version: &str, n: u32| {
        format!(
            "# TYPE target_info gauge\ntarget_info{{version=\"{version}\"}} 1\n# TYPE c counter\nc {n}\n"
        )
    };
    let mut both = Both::new();
    for (version, n) in [("1", 1), ("1", 2), ("2", 3), ("2", 4)] {
        both.page(TEXT, page(version, n).as_bytes());
    }
    both.page(TEXT, b"# TYPE c counter\nc 5\n");
    both.page(TEXT, b"# TYPE c counter\nc{otel_scope_name=\"s\"} 5\n");
    both.page(TEXT, b"# TYPE c counter\nc 6\n");
}

#[test]
fn a_whole_program_with_every_value_changed() {
    let text = include_str!("../../../../tests/corpora/goapp.prom");
    let open = include_str!("../../../../tests/corpora/goapp.om");
    for page in [
        include_bytes!("../../../../tests/corpora/goapp.pb").as_slice(),
        include_bytes!("../../../../tests/corpora/etcd.pb"),
    ] {
        let mut both = Both::new();
        both.options.limits = DEFAULT_LIMITS;
        both.page(WIRE, page);
        assert_eq!(both.page(WIRE, page), 0);
        both.failed();
        assert_eq!(both.page(WIRE, page), 0);
    }
    for (kind, page) in [(TEXT, text), (OPEN, open)] {
        let mut both = Both::new();
        both.options.limits = DEFAULT_LIMITS;
        both.page(kind, page.as_bytes());
        assert_eq!(both.page(kind, page.as_bytes()), 0);
        for step in 1..4 {
            let read = both.page(kind, changed(page, step).as_bytes());
            // Exemplars change with the values; a family that has some is read.
            let limit = if kind == OPEN { page.len() / 3 } else { 0 };
            assert!(
                read <= limit,
                "{kind}: {read} bytes of {} were read",
                page.len()
            );
        }
    }
}

/// Adds to every value, by the same number, so that buckets stay in order.
fn changed(page: &str, step: u32) -> String {
    let line = |line: &str| {
        let parts = line.rsplit_once(' ').filter(|_| !line.starts_with('#'));
        match parts.and_then(|(head, value)| Some((head, value.parse::<f64>().ok()?))) {
            Some((head, value)) => format!("{head} {}\n", value + f64::from(step)),
            None => format!("{line}\n"),
        }
    };
    page.lines().map(line).collect()
}
