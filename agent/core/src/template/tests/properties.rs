//! Sequences of pages in which series come, go and move, families change, pages are cut short and
//! scrapes fail: after each step both paths say the same.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::select;

use super::{Both, OPEN, TEXT, WIRE};

mod wire;

/// A family of a generated page.
#[derive(Clone, Debug)]
struct Family {
    name: usize,
    kind: usize,
    help: usize,
    series: Vec<Series>,
}

/// A series: the numbers of its labels, and its value.
#[derive(Clone, Debug)]
struct Series {
    labels: [usize; 2],
    value: u32,
    extra: Extra,
}

/// What a line has beside its value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Extra {
    Nothing,
    Bad,
    Blank,
    Created,
    Exemplar,
    Scope,
    Timestamp,
    Twice,
}

/// What happens between two scrapes.
#[derive(Clone, Debug)]
enum Step {
    Add(usize, Series),
    AddFamily(usize, Family),
    Cut(usize),
    Describe(usize, usize),
    Fail,
    Move(usize, usize),
    MoveFamily(usize, usize),
    Nothing,
    Remove(usize, usize),
    RemoveFamily(usize),
    Switch,
    Target(usize),
    Values(u32),
}

const NAMES: [&str; 9] = [
    "a",
    "a_total",
    "b",
    "b_count",
    "c",
    "d_seconds",
    "up",
    "z_info",
    "\"q.z\"",
];
const KINDS: [&str; 8] = [
    "counter",
    "gauge",
    "histogram",
    "summary",
    "",
    "untyped",
    "gaugehistogram",
    "info",
];
const HELP: [&str; 3] = ["", "Words.", "Other words."];

fn series() -> impl Strategy<Value = Series> {
    let extra = prop_oneof![
        30 => Just(Extra::Nothing),
        1 => select(vec![
            Extra::Bad, Extra::Blank, Extra::Created, Extra::Exemplar,
            Extra::Scope, Extra::Timestamp, Extra::Twice,
        ]),
        1 => Just(Extra::Created),
    ];
    ([0usize..4, 0..3], 0u32..1000, extra).prop_map(|(labels, value, extra)| Series {
        labels,
        value,
        extra,
    })
}

fn family() -> impl Strategy<Value = Family> {
    let kind = prop_oneof![6 => 0usize..4, 1 => 0..KINDS.len()];
    let name = 0..NAMES.len();
    let list = prop::collection::vec(series(), 0..6);
    (name, kind, 0..HELP.len(), list).prop_map(|(name, kind, help, mut series)| {
        series.sort_by_key(|series| series.labels);
        series.dedup_by_key(|series| series.labels);
        Family {
            name,
            kind,
            help,
            series,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let any = || 0usize..8;
    prop_oneof![
        8 => (1u32..50).prop_map(Step::Values),
        1 => Just(Step::Nothing),
        3 => (any(), series()).prop_map(|(at, series)| Step::Add(at, series)),
        3 => (any(), any()).prop_map(|(family, at)| Step::Remove(family, at)),
        1 => (any(), any()).prop_map(|(family, at)| Step::Move(family, at)),
        1 => (any(), family()).prop_map(|(at, family)| Step::AddFamily(at, family)),
        1 => any().prop_map(Step::RemoveFamily),
        1 => (any(), any()).prop_map(|(from, to)| Step::MoveFamily(from, to)),
        1 => (any(), any()).prop_map(|(at, to)| Step::Describe(at, to)),
        1 => (0usize..400).prop_map(Step::Cut),
        1 => Just(Step::Fail),
        1 => (0usize..3).prop_map(Step::Target),
        1 => Just(Step::Switch),
    ]
}

/// A generated program.
#[derive(Clone, Debug)]
struct Program {
    families: Vec<Family>,
    target: usize,
    form: Form,
}

/// What a page is written in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Open,
    Text,
    Wire,
}

impl Program {
    fn apply(&mut self, step: &Step) {
        let count = self.families.len().max(1);
        match step {
            Step::Add(at, series) => {
                if let Some(family) = self.families.get_mut(at % count) {
                    let place = family.series.iter().position(|s| s.labels >= series.labels);
                    let place = place.unwrap_or(family.series.len());
                    family.series.insert(place, series.clone());
                }
            }
            Step::AddFamily(at, family) => self.families.insert(at % count, family.clone()),
            Step::Describe(at, to) => {
                if let Some(family) = self.families.get_mut(at % count) {
                    (family.help, family.kind) = (to % HELP.len(), (family.kind + to / 4) % 5);
                }
            }
            Step::Move(family, at) => {
                if let Some(family) = self.families.get_mut(family % count)
                    && !family.series.is_empty()
                {
                    let at = at % family.series.len();
                    family.series.rotate_left(at);
                }
            }
            Step::MoveFamily(from, to) if !self.families.is_empty() => {
                let family = self.families.remove(from % count);
                let to = to % (self.families.len() + 1);
                self.families.insert(to, family);
            }
            Step::Remove(family, at) => {
                if let Some(family) = self.families.get_mut(family % count)
                    && !family.series.is_empty()
                {
                    let at = at % family.series.len();
                    family.series.remove(at);
                }
            }
            Step::RemoveFamily(at) if !self.families.is_empty() => {
                self.families.remove(at % count);
            }
            Step::Switch => {
                self.form = match self.form {
                    Form::Open => Form::Text,
                    Form::Text => Form::Wire,
                    Form::Wire => Form::Open,
                };
            }
            Step::Target(to) => self.target = *to,
            Step::Values(by) => {
                let series = self
                    .families
                    .iter_mut()
                    .flat_map(|family| &mut family.series);
                for (index, series) in series.enumerate() {
                    // Some stay, some fall.
                    series.value = match index % 5 {
                        0 => series.value,
                        1 if *by > 40 => series.value / 2,
                        _ => series.value + by,
                    };
                }
            }
            _ => {}
        }
    }

    fn page(&self) -> (&'static str, Vec<u8>) {
        match self.form {
            Form::Open => (OPEN, self.text().into_bytes()),
            Form::Text => (TEXT, self.text().into_bytes()),
            Form::Wire => {
                let target = (self.target > 0).then(|| wire::target(self.target));
                let families = self.families.iter().map(wire::family);
                (WIRE, target.into_iter().chain(families).flatten().collect())
            }
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        if self.target > 0 {
            out += "# TYPE target_info gauge\n";
            writeln!(out, "target_info{{version=\"{}\"}} 1", self.target).unwrap();
        }
        for family in &self.families {
            self.family(&mut out, family);
        }
        if self.form == Form::Open {
            out += "# EOF\n";
        }
        out
    }

    fn family(&self, out: &mut String, family: &Family) {
        let (name, kind) = (NAMES[family.name], KINDS[family.kind]);
        if !HELP[family.help].is_empty() {
            writeln!(out, "# HELP {name} {}", HELP[family.help]).unwrap();
        }
        if !kind.is_empty() {
            writeln!(out, "# TYPE {name} {kind}").unwrap();
        }
        for series in &family.series {
            self.series(out, name, kind, series);
        }
    }

    fn series(&self, out: &mut String, name: &str, kind: &str, series: &Series) {
        let [x, y] = series.labels;
        let mut labels = format!("x=\"{x}\",y=\"{y}\"");
        if series.extra == Extra::Scope {
            labels += ",otel_scope_name=\"s\"";
        }
        let value = series.value;
        let decimal = format!("{}", f64::from(value) / 8.0);
        let mut line = |suffix: &str, more: &str, value: &str| {
            let value = match series.extra {
                Extra::Bad => "bad",
                _ => value,
            };
            let rest = match series.extra {
                Extra::Exemplar => " # {trace_id=\"00f067aa0ba902b700f067aa0ba902b7\"} 1",
                Extra::Timestamp => " 1700000000000",
                Extra::Blank => " ",
                _ => "",
            };
            let line = match name.strip_prefix('"') {
                Some(quoted) => {
                    let name = quoted.trim_end_matches('"');
                    format!("{{\"{name}{suffix}\",{labels}{more}}} {value}{rest}\n")
                }
                None => format!("{name}{suffix}{{{labels}{more}}} {value}{rest}\n"),
            };
            let times = if series.extra == Extra::Twice { 2 } else { 1 };
            *out += &line.repeat(times);
        };
        match kind {
            "histogram" | "gaugehistogram" => {
                let total = (value + value / 3).to_string();
                line("_bucket", ",le=\"0.5\"", &(value / 2).to_string());
                line("_bucket", ",le=\"1\"", &value.to_string());
                line("_bucket", ",le=\"+Inf\"", &total);
                line("_sum", "", &decimal);
                line("_count", "", &total);
            }
            "summary" => {
                line("", ",quantile=\"0.5\"", &decimal);
                line("_sum", "", &decimal);
                line("_count", "", &value.to_string());
            }
            "counter" if self.form == Form::Open => line("_total", "", &decimal),
            "info" if self.form == Form::Open => line("_info", "", "1"),
            _ => line("", "", &decimal),
        }
        if series.extra == Extra::Created {
            line("_created", "", "1600000000.5");
        }
    }
}

fn check(program: &Program, steps: &[Step], honor_timestamps: bool) {
    let (mut program, mut both) = (program.clone(), Both::new());
    both.options.honor_timestamps = honor_timestamps;
    for step in steps {
        program.apply(step);
        let (kind, page) = program.page();
        match step {
            Step::Fail => both.failed(),
            Step::Cut(at) => {
                let at = page.len().saturating_sub(*at);
                both.page(kind, &page[..at]);
            }
            _ => {
                both.page(kind, &page);
            }
        }
    }
}

proptest! {
    #[test]
    fn both_paths_say_the_same(
        families in prop::collection::vec(family(), 0..5),
        form in select(vec![Form::Open, Form::Text, Form::Wire]),
        steps in prop::collection::vec(step(), 1..12),
        honor_timestamps in prop::bool::weighted(0.7),
    ) {
        let program = Program { families, target: 0, form };
        check(&program, &steps, honor_timestamps);
    }
}
