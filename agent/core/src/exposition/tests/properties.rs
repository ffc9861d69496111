//! Properties: never panics, prints and parses back, valid lines survive bad neighbours.

use proptest::prelude::*;

use super::*;

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('"', "\\\"")
}

/// Prints a sample the way client libraries do.
fn print(name: &str, labels: &[(String, String)], value: f64) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("\"{}\"=\"{}\"", escape(name), escape(value)))
        .collect();
    format!(
        "{{\"{}\"{}{}}} {value}",
        escape(name),
        if labels.is_empty() { "" } else { "," },
        labels.join(",")
    )
}

fn labels() -> impl Strategy<Value = Vec<(String, String)>> {
    let label = ("[^\r]{1,8}", "[^\r]{1,12}");
    prop::collection::btree_map(label.0, label.1, 0..5).prop_map(|map| map.into_iter().collect())
}

/// Lines of histograms and summaries whose labels are much the same, and often not quite.
fn lines_of_points() -> impl Strategy<Value = String> {
    let names = [
        "a_bucket", "a_sum", "a_count", "a", "s", "s_sum", "s_count", "b_bucket",
    ];
    let labels = [
        "",
        "x=\"1\"",
        "x=\"1\",y=\"b\\\"c\"",
        "x=\"\",y=\"2\"",
        "y=\"2\",x=\"1\"",
        "le=\"3\"",
        "quantile=\"3\"",
        "x=\"1\",",
        "x=\"1\" ",
        "\"a_bucket\"",
        "x=\"1\",x=\"1\"",
    ];
    let keys = ["le", "quantile", "z"];
    let bounds = ["0.5", "1", "+Inf", "NaN", "", "\\\"", "1_0", "é"];
    let ends = [
        "} 1",
        "}  1",
        "}1",
        "} 1.5e+07",
        "} +Inf",
        "} 1 5",
        "} 1\r",
        "} x",
        ",} 2",
    ];
    let bound = prop::option::weighted(
        0.7,
        (
            prop::sample::select(keys.to_vec()),
            prop::sample::select(bounds.to_vec()),
        ),
    );
    let line = (
        prop::sample::select(names.to_vec()),
        prop::sample::select(labels.to_vec()),
        bound,
        prop::sample::select(ends.to_vec()),
    );
    let line = line.prop_map(|(name, labels, bound, end)| {
        let comma = if labels.is_empty() { "" } else { "," };
        match bound {
            Some((key, bound)) => format!("{name}{{{labels}{comma}{key}=\"{bound}\"{end}\n"),
            None => format!("{name}{{{labels}{end}\n"),
        }
    });
    let typed = [
        "# TYPE a histogram\n",
        "# TYPE s summary\n",
        "# TYPE b histogram\n",
    ];
    let line =
        prop_oneof![9 => line, 1 => prop::sample::select(typed.to_vec()).prop_map(String::from)];
    prop::collection::vec(line, 0..40)
        .prop_map(|lines| format!("# TYPE a histogram\n# TYPE s summary\n{}", lines.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Guarantees: a line that is taken for one of the point before is read as any other is. A line
    /// that begins with a blank never is taken so.
    #[test]
    fn lines_of_one_point_are_read_as_others(page in lines_of_points(), open: bool) {
        let blank: String = page.split_inclusive('\n').map(|line| format!(" {line}")).collect();
        let content_type = Some(if open { OPEN } else { TEXT });
        let short = parse(page.as_bytes(), content_type, &Options::LENIENT).unwrap();
        let long = parse(blank.as_bytes(), content_type, &Options::LENIENT).unwrap();
        prop_assert_eq!(summary(&short), summary(&long), "{}", page);
        for (short, long) in short.samples.iter().zip(&long.samples) {
            let moved = long.value_at.map(|at| at - long.line);
            prop_assert_eq!(short.value_at, moved, "{}", page);
        }
    }
}

proptest! {
    #[test]
    fn never_panics(page in prop::collection::vec(any::<u8>(), 0..300), open: bool, strict: bool) {
        let options = if strict { Options::STRICT } else { Options::LENIENT };
        let _ = parse(&page, Some(if open { OPEN } else { TEXT }), &options);
    }

    #[test]
    fn never_panics_on_almost_pages(
        page in "([a-c_]{0,3}(\\{(\"?[a-c]\"?=?\"?[é\\\\n\"]{0,3}\"?,?){0,3}\\})? ?[-0-9.exNaInf+]{0,8}( [0-9.]{1,3})?( # \\{\\} 1)?\n|# (TYPE|HELP|UNIT|EOF)? ?[a-c]{0,2} ?(counter|histogram|summary|info)?\n){0,12}",
        open: bool,
        strict: bool,
    ) {
        let options = if strict { Options::STRICT } else { Options::LENIENT };
        let _ = parse(page.as_bytes(), Some(if open { OPEN } else { TEXT }), &options);
    }

    #[test]
    fn prints_and_parses_back(
        name in "[^\r]{1,10}",
        labels in labels(),
        value in any::<f64>(),
        open: bool,
    ) {
        let page = print(&name, &labels, value) + "\n# EOF\n";
        let read = parse(page.as_bytes(), Some(if open { OPEN } else { TEXT }), &Options::LENIENT).unwrap();
        prop_assert_eq!(&read.tally, &Tally::default(), "{}", page);
        let sample = &read.samples[0];
        prop_assert_eq!(&read.family(sample).unwrap().name, &name);
        prop_assert!(sample.value.to_bits() == value.to_bits() || value.is_nan());
        let got: Vec<(String, String)> =
            read.labels(sample).iter().map(|l| (l.name.to_string(), l.value.to_string())).collect();
        prop_assert_eq!(got, labels);
    }

    #[test]
    fn valid_lines_survive_bad_neighbours(
        junk in prop::collection::vec("[^\n#]{0,30}", 0..6),
        value in any::<u32>(),
    ) {
        let mut page = String::new();
        for line in &junk {
            page.push_str(line);
            page.push_str("\nsurvivor_of_all{n=\"x\"} ");
            page.push_str(&format!("{value}\n"));
        }
        page.push_str(&format!("last_one {value}\n"));
        let read = parse(page.as_bytes(), Some(TEXT), &Options::LENIENT).unwrap();
        let last = read.samples.iter().find(|s| read.family(s).unwrap().name == "last_one").unwrap();
        prop_assert_eq!(last.value, f64::from(value));
        let survivors = read.samples.iter().filter(|s| read.family(s).unwrap().name == "survivor_of_all");
        prop_assert_eq!(survivors.count(), usize::from(!junk.is_empty()));
    }

    #[test]
    fn numbers_are_those_of_the_standard_library(value in any::<f64>(), whole in any::<u64>()) {
        for text in [format!("{value}"), format!("{value:e}"), whole.to_string()] {
            let expected: f64 = text.parse().unwrap();
            let got = number::float(&text, number::Spelling::Go);
            prop_assert_eq!(got.map(f64::to_bits), (!value.is_nan() || text != "NaN").then_some(expected.to_bits()).or(got.map(f64::to_bits)));
        }
    }
}
