//! Limits that a target names itself, counted as Prometheus counts them.

use crate::exposition::{Format, Options, PageError, Reason, SeriesLimits, parse};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn read(kind: &str, page: &str, series: SeriesLimits) -> Result<usize, PageError> {
    let mut options = Options::LENIENT;
    options.limits.series = series;
    parse(page.as_bytes(), Some(kind), &options).map(|page| page.samples.len())
}

fn line(line: u32, reason: Reason) -> Result<usize, PageError> {
    Err(PageError::Line(Format::Text.error(line, reason)))
}

#[test]
fn as_many_samples_as_the_limit() {
    let limits = |samples| SeriesLimits {
        samples,
        ..SeriesLimits::NONE
    };
    let page = "# TYPE a gauge\na 1\nb 2\n# EOF\n";
    assert_eq!(read(OPEN, page, limits(2)), Ok(2));
    let (samples, limit) = (2, 1);
    let refused = PageError::SampleLimit { samples, limit };
    assert_eq!(
        refused.to_string(),
        "sample limit exceeded: 2 samples, 1 allowed"
    );
    assert_eq!(read(OPEN, page, limits(1)), Err(refused));
}

#[test]
fn labels_are_counted_with_the_name_and_those_of_the_target() {
    let limits = |labels| SeriesLimits {
        labels,
        ..SeriesLimits::NONE
    };
    let page = "a{x=\"1\",y=\"\"} 1\n# TYPE h histogram\nh_bucket{x=\"1\",le=\"+Inf\"} 1\nh_count{x=\"1\"} 1\n";
    assert_eq!(read(TEXT, page, limits(5)), Ok(3));
    let reason = |labels, limit| Reason::LabelLimit { labels, limit };
    assert_eq!(read(TEXT, page, limits(4)), line(3, reason(5, 4)));
    assert_eq!(read(TEXT, page, limits(3)), line(1, reason(4, 3)));
    let exemplar = "a_total 1 # {a=\"1\",b=\"2\",c=\"3\"} 1\n# EOF\n";
    assert_eq!(
        read(OPEN, exemplar, limits(3)),
        Ok(1),
        "an exemplar is no series"
    );
}

#[test]
fn names_and_values_have_lengths() {
    let limits = SeriesLimits {
        label_name_bytes: 4,
        label_value_bytes: 6,
        ..SeriesLimits::NONE
    };
    assert_eq!(read(TEXT, "six_by{four=\"sixsix\"} 1\n", limits), Ok(1));
    let reason = Reason::LabelNameLimit { bytes: 5, limit: 4 };
    assert_eq!(
        read(TEXT, "a 1\na{fives=\"1\"} 1\n", limits),
        line(2, reason)
    );
    let reason = Reason::LabelValueLimit { bytes: 7, limit: 6 };
    assert_eq!(read(TEXT, "a{b=\"seven77\"} 1\n", limits), line(1, reason));
    assert_eq!(read(TEXT, "seven77 1\n", limits), line(1, reason));
    let count = "# TYPE s summary\ns_count 1\n";
    let reason = Reason::LabelValueLimit { bytes: 7, limit: 6 };
    assert_eq!(
        read(TEXT, count, limits),
        line(2, reason),
        "the name of the series counts"
    );
}

#[test]
fn timestamps_need_not_be_honored() {
    let mut options = Options::LENIENT;
    options.honor_timestamps = false;
    let page = "a 1 1000\na 2 2000\nb 3 -5\nc 4 word\n";
    let page = parse(page.as_bytes(), Some(TEXT), &options).expect("a page");
    let samples: Vec<_> = page
        .samples
        .iter()
        .map(|s| (s.value, s.time_unix_nano))
        .collect();
    assert_eq!(samples, [(1.0, None), (3.0, None)]);
    assert_eq!((page.tally.duplicates, page.tally.bad_lines), (1, 1));
    assert_eq!(page.tally.unholdable_timestamps, 0);
}
