//! What `--strict` refuses, with the line, and what it must not refuse.

use super::*;

#[track_caller]
fn refused(content_type: &str, page: &str, line: u32, reason: Reason) {
    let got = parse(page.as_bytes(), Some(content_type), &Options::STRICT);
    assert_eq!(
        got.err(),
        Some(PageError::Line(Format::Text.error(line, reason))),
        "{page}"
    );
}

#[track_caller]
fn accepted(content_type: &str, page: &str) {
    let got = parse(page.as_bytes(), Some(content_type), &Options::STRICT);
    assert!(got.is_ok(), "{:?}: {page}", got.err());
}

#[test]
fn text() {
    refused(TEXT, "a 1", 1, Reason::NoNewline);
    refused(TEXT, "a 1\r\n", 1, Reason::CarriageReturn);
    refused(
        TEXT,
        "# TYPE a gauge\n# TYPE a gauge\n",
        2,
        Reason::DuplicateMetadata,
    );
    refused(
        TEXT,
        "# HELP a x\n# HELP a x\n",
        2,
        Reason::DuplicateMetadata,
    );
    refused(TEXT, "a 1\n# TYPE a gauge\n", 2, Reason::MetadataLate);
    refused(TEXT, "# TYPE a info\n", 1, Reason::BadType);
    refused(TEXT, "# TYPE a unknown\n", 1, Reason::BadType);
    refused(TEXT, "# TYPE a\n", 1, Reason::BadType);
    refused(TEXT, "# TYPE a gauge extra\n", 1, Reason::BadType);
    refused(TEXT, "# HELP a b\\c\n", 1, Reason::StrayBackslash);
    refused(TEXT, "a{b=\"\\d\"} 1\n", 1, Reason::StrayBackslash);
    refused(TEXT, "a 1\nb 1\na{x=\"y\"} 1\n", 3, Reason::Interleaved);
    refused(TEXT, "a 1\na 2\n", 2, Reason::DuplicateSample);
    refused(TEXT, "a 1 # {x=\"y\"} 1\n", 1, Reason::Trailing);
    refused(TEXT, "a 1 1.5\n", 1, Reason::BadTimestamp);
    refused(
        TEXT,
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n",
        2,
        Reason::InfinityMissing,
    );
    refused(
        TEXT,
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 2\n",
        3,
        Reason::CountMismatch,
    );
    refused(
        TEXT,
        "# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\n",
        3,
        Reason::BoundRepeated,
    );
    refused(
        TEXT,
        "# TYPE s summary\ns{quantile=\"0.9\"} 1\ns{quantile=\"0.5\"} 1\n",
        3,
        Reason::BoundRepeated,
    );
    accepted(TEXT, "");
    accepted(
        TEXT,
        "\n  \n# a comment\n#comment\n # HELP a x\n\ta { b = \"c\" , }\t1 -5 \n",
    );
    accepted(
        TEXT,
        "# HELP x_created y\n# TYPE x_created counter\nx_created 0x1p4\n",
    );
    accepted(TEXT, "# HELP a\na NaN\n{\"b.c\"} 1\n");
}

#[test]
fn openmetrics() {
    refused(OPEN, "a 1\n", 1, Reason::NoEof);
    refused(OPEN, "", 1, Reason::NoEof);
    refused(OPEN, "# EOF\na 1\n", 2, Reason::TrailingEof);
    refused(OPEN, "# EOF\n\n", 2, Reason::TrailingEof);
    refused(OPEN, "\n# EOF\n", 1, Reason::EmptyLine);
    refused(OPEN, "# hello\n# EOF\n", 1, Reason::NotMetadata);
    refused(OPEN, "a  1\n# EOF\n", 1, Reason::NotOneSpace);
    refused(OPEN, "a\t1\n# EOF\n", 1, Reason::NotOneSpace);
    refused(OPEN, "a 1 \n# EOF\n", 1, Reason::NotOneSpace);
    refused(OPEN, "a 1 5 \n# EOF\n", 1, Reason::NotOneSpace);
    refused(OPEN, " a 1\n# EOF\n", 1, Reason::BadName);
    refused(OPEN, "a{b=\"c\",} 1\n# EOF\n", 1, Reason::TrailingComma);
    refused(OPEN, "a{b= \"c\"} 1\n# EOF\n", 1, Reason::NotOneSpace);
    refused(OPEN, "a 0x1p4\n# EOF\n", 1, Reason::BadValue);
    refused(OPEN, "# TYPE a untyped\n# EOF\n", 1, Reason::BadType);
    refused(
        OPEN,
        "# TYPE a counter\na 1\n# EOF\n",
        2,
        Reason::SuffixMismatch,
    );
    refused(
        OPEN,
        "# TYPE a counter\na_total -1\n# EOF\n",
        2,
        Reason::CounterNegative,
    );
    refused(
        OPEN,
        "# TYPE a histogram\na 1\n# EOF\n",
        2,
        Reason::SuffixMismatch,
    );
    refused(
        OPEN,
        "# TYPE a info\na_info 2\n# EOF\n",
        2,
        Reason::InfoNotOne,
    );
    refused(
        OPEN,
        "# TYPE a stateset\na{b=\"c\"} 1\n# EOF\n",
        2,
        Reason::StateMisfit,
    );
    refused(
        OPEN,
        "# UNIT a_seconds bytes\n# EOF\n",
        1,
        Reason::UnitMisfit,
    );
    refused(
        OPEN,
        "# TYPE a gauge\na 1 # {x=\"y\"} 1\n# EOF\n",
        2,
        Reason::ExemplarMisplaced,
    );
    refused(OPEN, "_a 1\n# EOF\n", 1, Reason::NameReserved);
    refused(OPEN, "a{_b=\"c\"} 1\n# EOF\n", 1, Reason::NameReserved);
    refused(
        OPEN,
        "# TYPE a summary\na_count 1\n# TYPE a_sum gauge\na_sum 1\n# EOF\n",
        4,
        Reason::NameClash,
    );
    refused(
        OPEN,
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {} 2\nh_bucket{le=\"+Inf\"} 1\n# EOF\n",
        2,
        Reason::ExemplarOutside,
    );
    refused(
        OPEN,
        "# TYPE h histogram\nh_bucket{le=\"-1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n\
         h_sum 1\n# EOF\n",
        5,
        Reason::SumOfNegatives,
    );
    refused(
        OPEN,
        "# TYPE s summary\ns{quantile=\"0.5\"} -1\n# EOF\n",
        2,
        Reason::QuantileNegative,
    );
    let long = format!(
        "# TYPE a counter\na_total 1 # {{x=\"{}\"}} 1\n# EOF\n",
        "y".repeat(128)
    );
    refused(OPEN, &long, 2, Reason::ExemplarTooLong);
    refused(OPEN, "# HELP a say \"x\"\n# EOF\n", 1, Reason::BareQuote);
    refused(
        OPEN,
        "a{x=\"1\"} 1 5\na{x=\"2\"} 1 5\na{x=\"1\"} 1 6\n# EOF\n",
        3,
        Reason::Interleaved,
    );
    refused(OPEN, "a 1 6\na 1 5\n# EOF\n", 2, Reason::Interleaved);
    refused(
        OPEN,
        "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n# EOF\n",
        3,
        Reason::CountsDecrease,
    );
    accepted(OPEN, "# EOF");
    accepted(OPEN, "# EOF\n");
    accepted(OPEN, "a{} 1\nb{x=\"st\\ray\"} 1 -5.5\n# EOF\n");
    accepted(
        OPEN,
        "# TYPE foo gauge\nfoo 17.0 123\nfoo 18.0 456\n# EOF\n",
    );
    accepted(
        OPEN,
        "# TYPE s summary\ns{quantile=\"0.9\"} NaN\ns{quantile=\"0.5\"} 1\n# EOF\n",
    );
    accepted(
        OPEN,
        "# TYPE h histogram\nh_bucket{le=\"0.1\"} 8 # {} 0.054\nh_bucket{le=\"+Inf\"} 8\n# EOF\n",
    );
    accepted(
        OPEN,
        "# TYPE foo_seconds counter\n# UNIT foo_seconds seconds\n# HELP foo_seconds \\n \\\" x\n# EOF\n",
    );
}
