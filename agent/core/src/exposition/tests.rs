//! Tables of pages and what is read from them.

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;

mod corpora;
mod limits;
mod properties;
mod protobuf;
mod relabel;
mod strict;

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Prints what was read: a line a sample, then what was left out.
fn summary(page: &Page<'_>) -> String {
    let mut out = String::new();
    let mut last = None;
    for sample in &page.samples {
        let family = page.family(sample).unwrap();
        if last != Some(sample.family) {
            last = Some(sample.family);
            writeln!(
                out,
                "{} {} {:?} {:?}",
                family.name,
                family.kind.word(),
                family.help,
                family.unit
            )
            .unwrap();
        }
        write!(out, "  {:?}", sample.role).unwrap();
        if matches!(sample.role, Role::Bucket | Role::Quantile) {
            write!(out, "({})", sample.bound).unwrap();
        }
        for label in page.labels(sample) {
            write!(out, " {}={:?}", label.name, label.value).unwrap();
        }
        write!(out, " = {}", sample.value).unwrap();
        if let Some(time) = sample.time_unix_nano {
            write!(out, " @{time}").unwrap();
        }
        if let Some(exemplar) = page.exemplar(sample) {
            let labels = page.exemplar_labels(exemplar);
            let labels: Vec<_> = labels
                .iter()
                .map(|l| format!("{}={:?}", l.name, l.value))
                .collect();
            write!(
                out,
                " # {labels:?} {} {:?}",
                exemplar.value, exemplar.time_unix_nano
            )
            .unwrap();
        }
        out.push('\n');
    }
    let tally = &page.tally;
    if *tally != Tally::default() {
        writeln!(
            out,
            "bad {} ({}), duplicates {}, timestamps {}",
            tally.bad_lines,
            tally
                .first_bad
                .map_or("none".to_owned(), |error| error.to_string()),
            tally.duplicates,
            tally.unholdable_timestamps
        )
        .unwrap();
    }
    out
}

#[track_caller]
fn check(content_type: &str, page: &str, expected: &Expect) {
    let page = parse(page.as_bytes(), Some(content_type), &Options::LENIENT).unwrap();
    expected.assert_eq(&summary(&page));
}

#[test]
fn text_example_of_the_specification() {
    let page = r##"# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# TYPE h histogram
h_bucket{le="0.05"} 24054
h_bucket{le="+Inf"} 144320
h_sum 53423
h_count 144320

# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.01"} 3102
rpc_duration_seconds_sum 1.7560473e+07
rpc_duration_seconds_count 2693
"##;
    check(
        TEXT,
        page,
        &expect![[r#"
        http_requests_total counter "The total number of HTTP requests." ""
          Value code="200" method="post" = 1027 @1395066363000000000
          Value code="400" method="post" = 3 @1395066363000000000
        msdos_file_access_time_seconds unknown "" ""
          Value error="Cannot find file:\n\"FILE.TXT\"" path="C:\\DIR\\FILE.TXT" = 1458255915
        metric_without_timestamp_and_labels unknown "" ""
          Value = 12.47
        h histogram "" ""
          Bucket(0.05) = 24054
          Bucket(inf) = 144320
          Sum = 53423
          Count = 144320
        rpc_duration_seconds summary "" ""
          Quantile(0.01) = 3102
          Sum = 17560473
          Count = 2693
        bad 0 (none), duplicates 0, timestamps 1
    "#]],
    );
}

#[test]
fn hostile_label_values_survive() {
    let page = "a{p=\"/x/{id}\",q=\"a,b=c\",r=\"say \\\"hi\\\"\\n\\\\\",s=\"é} # {\"} 1\n\
                b { x = \"1\" , y=\"\", } 2 3\n\
                c{x=\"1\"}4\n\
                \td\t5\t \n\
                e{x=\"stray \\d\"} 6\r\n\
                f{} 7";
    check(
        TEXT,
        page,
        &expect![[r#"
        a unknown "" ""
          Value p="/x/{id}" q="a,b=c" r="say \"hi\"\n\\" s="é} # {" = 1
        b unknown "" ""
          Value x="1" = 2 @3000000
        c unknown "" ""
          Value x="1" = 4
        d unknown "" ""
          Value = 5
        e unknown "" ""
          Value x="stray \\d" = 6
        f unknown "" ""
          Value = 7
    "#]],
    );
}

/// Guarantees: a line that says nothing but its keyword is a comment, however it ends.
#[test]
fn keywords_alone_are_comments() {
    let page = "# HELP\n# TYPE\r\n# HELP  \n# HELPa b\na 1\n";
    check(
        TEXT,
        page,
        &expect![[r#"
        a unknown "" ""
          Value = 1
        bad 1 (line 3: metric name is malformed), duplicates 0, timestamps 0
    "#]],
    );
}

#[test]
fn quoted_names() {
    let page = "# HELP \"my.dotted.metric\" dots\n# TYPE \"my.dotted.metric\" counter\n\
                {\"my.dotted.metric\", \"error.message\"=\"Not Found\"} 1\n\
                {\"my.dotted.metric\"} 2\nplain{\"a b\"=\"c\"} 3\n{\"esc\\\"aped\",} 4\n\
                {\"a\",\"b\"} 5\n{x=\"y\"} 6\nz{\"a\"} 7\n";
    check(
        TEXT,
        page,
        &expect![[r#"
        my.dotted.metric counter "dots" ""
          Value error.message="Not Found" = 1
          Value = 2
        plain unknown "" ""
          Value a b="c" = 3
        esc"aped unknown "" ""
          Value = 4
        bad 3 (line 7: label has no value), duplicates 0, timestamps 0
    "#]],
    );
}

#[test]
fn openmetrics_families() {
    let page = r##"# TYPE jobs counter
# UNIT jobs jobs
# HELP jobs Done \"jobs\".
jobs_total{q="a"} 5 1520879607.789 # {trace_id="abc",x="y"} 1.0 1520879607.5
jobs_created{q="a"} 1520430000.123
# TYPE lat_seconds histogram
# UNIT lat_seconds seconds
lat_seconds_bucket{le="0.1"} 8 # {} 0.054
lat_seconds_bucket{le="+Inf"} 17.0
lat_seconds_count 17
lat_seconds_sum 3.5
lat_seconds_created 1520430000.123
# TYPE target info
target_info{region="eu"} 1
# TYPE state stateset
state{state="on"} 1
state{state="off"} 0
# TYPE ages gaugehistogram
ages_bucket{le="+Inf"} 2
ages_gcount 2
ages_gsum 4
# TYPE odd unknown
odd 1
# EOF
after 1
"##;
    check(
        OPEN,
        page,
        &expect![[r#"
        jobs counter "Done \"jobs\"." "jobs"
          Total q="a" = 5 @1520879607789000000 # ["trace_id=\"abc\"", "x=\"y\""] 1 Some(1520879607500000000)
          Created q="a" = 1520430000.123
        lat_seconds histogram "" "seconds"
          Bucket(0.1) = 8 # [] 0.054 None
          Bucket(inf) = 17
          Count = 17
          Sum = 3.5
          Created = 1520430000.123
        target info "" ""
          Info region="eu" = 1
        state stateset "" ""
          Value state="on" = 1
          Value state="off" = 0
        ages gaugehistogram "" ""
          Bucket(inf) = 2
          Count = 2
          Sum = 4
        odd unknown "" ""
          Value = 1
        bad 1 (line 25: text after `# EOF`), duplicates 0, timestamps 0
    "#]],
    );
}

#[test]
fn bad_lines_cost_themselves() {
    let page = "ok 1\n1bad 2\nok2{x=\"y\" 3\nok3{x=y} 4\nok4 five\nok5{x=\"1\",x=\"2\"} 6\nok6 7 later\n\
                ok7 8 9 10\n# TYPE ok9 flavour\nnovalue\nfine 11\n";
    check(
        TEXT,
        page,
        &expect![[r#"
        ok unknown "" ""
          Value = 1
        fine unknown "" ""
          Value = 11
        bad 9 (line 2: metric name is malformed), duplicates 0, timestamps 0
    "#]],
    );
    let page = b"a 1\nb{x=\"\xff\"} 2\nc 3\n";
    let page = parse(page, None, &Options::LENIENT).unwrap();
    expect![[r#"
        a unknown "" ""
          Value = 1
        c unknown "" ""
          Value = 3
        bad 1 (line 2: line is not UTF-8), duplicates 0, timestamps 0
    "#]]
    .assert_eq(&summary(&page));
}

#[test]
fn tokens_that_do_not_merge_need_no_blank() {
    let page = "a+1\nb-Inf 5\nc.5\nd{x=\"y\"}1\n";
    check(
        TEXT,
        page,
        &expect![[r#"
        a unknown "" ""
          Value = 1
        b unknown "" ""
          Value = -inf @5000000
        c unknown "" ""
          Value = 0.5
        d unknown "" ""
          Value x="y" = 1
    "#]],
    );
}

/// Guarantees: a page cut short is said to be, though what there is of it is read.
#[test]
fn a_page_without_its_end_is_counted() {
    check(
        OPEN,
        "# TYPE a counter\na_total 1\n",
        &expect![[r#"
        a counter "" ""
          Total = 1
        bad 1 (line 2: page does not end in `# EOF`), duplicates 0, timestamps 0
    "#]],
    );
}

#[test]
fn help_of_openmetrics_is_verbatim() {
    let page = "# HELP a  two blanks \n# TYPE a gauge\na 1\n# EOF\n";
    for options in [Options::LENIENT, Options::STRICT] {
        let read = parse(page.as_bytes(), Some(OPEN), &options).unwrap();
        assert_eq!(read.families[0].help, " two blanks ");
    }
    let read = parse(page.as_bytes(), Some(TEXT), &Options::LENIENT).unwrap();
    assert_eq!(read.families[0].help, "two blanks");
}

#[test]
fn a_byte_order_mark_costs_no_type() {
    let page = "\u{feff}# TYPE a counter\na 1\n";
    check(
        TEXT,
        page,
        &expect![[r#"
        a counter "" ""
          Value = 1
    "#]],
    );
    let strict = parse(page.as_bytes(), Some(TEXT), &Options::STRICT);
    let error = Format::Text.error(1, Reason::BadName);
    assert_eq!(strict.err(), Some(PageError::Line(error)));
}

/// Guarantees: no label takes the place of a series' name in a backend.
#[test]
fn a_label_is_not_called_like_the_name() {
    check(
        TEXT,
        "a{__name__=\"b\"} 1\n{\"x\"=\"y\",\"c\"} 2\n",
        &expect![[r#"
        c unknown "" ""
          Value x="y" = 2
        bad 1 (line 1: label name is malformed), duplicates 0, timestamps 0
    "#]],
    );
}

#[test]
fn limits_hold_in_exemplars() {
    let limits = Limits {
        labels_per_sample: 2,
        ..DEFAULT_LIMITS
    };
    let options = Options {
        limits,
        strict: false,
        honor_timestamps: true,
    };
    let page = "a 1 # {a=\"\",b=\"\",c=\"\"} 1\n# EOF\n";
    let error = Format::OpenMetrics.error(1, Reason::TooManyLabels);
    let read = parse(page.as_bytes(), Some(OPEN), &options);
    assert_eq!(read, Err(PageError::Line(error)));
}

#[test]
fn duplicates_keep_the_first() {
    let page = "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\",z=\"\"} 3\na{x=\"1\"} 4\n\
                a{x=\"1\"} 5 1000\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 2\n";
    check(
        TEXT,
        page,
        &expect![[r#"
        a unknown "" ""
          Value x="1" y="2" = 1
          Value x="1" = 4
          Value x="1" = 5 @1000000000
        h histogram "" ""
          Bucket(1) = 1
        bad 0 (none), duplicates 3, timestamps 0
    "#]],
    );
}

#[test]
fn a_second_type_begins_a_second_family() {
    let page = "# TYPE a gauge\na 1\n# TYPE a counter\na 2\n# TYPE a gauge\na{x=\"y\"} 3\n\
                # TYPE h histogram\nh 4\nh_count 5\nh_sum 6\nloose_bucket{le=\"1\"} 7\n";
    check(
        TEXT,
        page,
        &expect![[r#"
        a gauge "" ""
          Value = 1
          Value x="y" = 3
        a counter "" ""
          Value = 2
        h histogram "" ""
          Count = 5
          Sum = 6
        h unknown "" ""
          Value = 4
        loose_bucket unknown "" ""
          Value le="1" = 7
    "#]],
    );
}

#[test]
fn limits_fail_the_page() {
    let limits = Limits {
        body_bytes: 60,
        samples: 2,
        labels_per_sample: 2,
        name_bytes: 4,
        value_bytes: 3,
        series: SeriesLimits::NONE,
    };
    let check = |page: &str, expected: PageError| {
        let options = Options {
            limits,
            strict: false,
            honor_timestamps: true,
        };
        assert_eq!(parse(page.as_bytes(), None, &options), Err(expected));
    };
    let line = |line, reason| PageError::Line(Format::Text.error(line, reason));
    check(&"a 1\n".repeat(16), PageError::BodyTooLarge { limit: 60 });
    check("a 1\nb 2\nc 3\n", PageError::TooManySamples { limit: 2 });
    check("a 1\nabcde 2\n", line(2, Reason::NameTooLong));
    check("# HELP abcde x\n", line(1, Reason::NameTooLong));
    check("a{abcde=\"\"} 2\n", line(1, Reason::NameTooLong));
    check("a{a=\"abcd\"} 2\n", line(1, Reason::ValueTooLong));
    check(
        "a{a=\"\",b=\"\",c=\"\"} 2\n",
        line(1, Reason::TooManyLabels),
    );
}

#[test]
fn nothing_is_copied_without_escapes() {
    let page = "# HELP a text\na{b=\"c\"} 1\na{b=\"\\n\"} 1\n";
    let page = parse(page.as_bytes(), None, &Options::LENIENT).unwrap();
    assert!(matches!(page.families[0].help, Cow::Borrowed("text")));
    assert!(matches!(
        page.labels(&page.samples[0])[0].value,
        Cow::Borrowed("c")
    ));
    assert!(matches!(
        page.labels(&page.samples[1])[0].value,
        Cow::Owned(_)
    ));
}
