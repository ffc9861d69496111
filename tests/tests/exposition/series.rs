//! One form for what each parser reads, so that it can be compared.
//!
//! What is levelled, because the model says it is the same: an empty label value and none; `le` and
//! `quantile` as numbers; a series that stands twice has its first sample; timestamps that OTLP
//! can't hold cost the sample. What textparse forgets to unescape (names in `# TYPE`, exemplars) is
//! unescaped: the table of differences has these.

use std::collections::BTreeMap;

use davy_agent_core::exposition::{self, Format, Label, Page, Role};

use super::oracle::{self, Parsed, number};

/// Labels by name.
pub(super) type Labels = BTreeMap<String, String>;

/// A sample.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) time_ms: Option<i64>,
    pub(super) value: f64,
    pub(super) start_ms: i64,
    pub(super) exemplar: Option<Observed>,
}

/// An exemplar.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Observed {
    pub(super) labels: Labels,
    pub(super) bits: u64,
    pub(super) time_ms: Option<i64>,
}

/// A native histogram.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Native {
    pub(super) time_ms: Option<i64>,
    pub(super) start_ms: i64,
    pub(super) schema: i32,
    pub(super) is_float: bool,
    pub(super) sum: u64,
    pub(super) zero: (u64, u64),
    pub(super) positive: Vec<(i64, u64)>,
    pub(super) negative: Vec<(i64, u64)>,
    pub(super) exemplars: Vec<Observed>,
}

/// What a page says.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// Samples of each series, sorted by time.
    pub(super) series: BTreeMap<Labels, Vec<Point>>,
    /// Native histograms of each series.
    pub(super) natives: BTreeMap<Labels, Vec<Native>>,
    /// Types by name; none when a name has two.
    pub(super) types: BTreeMap<String, Option<String>>,
    /// Help by name, likewise.
    pub(super) helps: BTreeMap<String, Option<String>>,
    /// Units by name, likewise.
    pub(super) units: BTreeMap<String, Option<String>>,
    /// Native histograms without classic buckets: Davy has `_count`, `_sum` and the bucket `+Inf`
    /// of them, as the text format writes; textparse only when there is a bucket.
    alone: Vec<Labels>,
}

/// Spells the samples of a gauge histogram like those of a histogram: Davy keeps what they are, not
/// how they are called.
fn without_g(name: String, format: Format) -> String {
    match format {
        Format::OpenMetrics => name.replace("_gsum", "_sum").replace("_gcount", "_count"),
        _ => name,
    }
}

/// Every NaN is the same.
fn bits(value: f64) -> u64 {
    if value.is_nan() { 1 } else { value.to_bits() }
}

fn filled(buckets: impl Iterator<Item = (i64, f64)>) -> Vec<(i64, u64)> {
    let buckets = buckets.filter(|(_, count)| *count != 0.0);
    buckets.map(|(index, count)| (index, bits(count))).collect()
}

/// Milliseconds that OTLP holds as nanoseconds.
fn is_holdable(time_ms: &Option<i64>) -> bool {
    time_ms.is_none_or(|time| (0..=(u64::MAX / 1_000_000) as i64).contains(&time))
}

fn milliseconds(nanos: Option<u64>) -> Option<i64> {
    nanos.map(|nanos| (nanos / 1_000_000) as i64)
}

fn insert_once(map: &mut BTreeMap<String, Option<String>>, name: String, value: &str) {
    let entry = map.entry(name).or_insert_with(|| Some(value.to_owned()));
    if entry.as_deref() != Some(value) {
        *entry = None;
    }
}

/// Spells numbers in `le` and `quantile` alike.
fn level(labels: &mut Labels) {
    for name in ["le", "quantile"] {
        if let Some(value) = labels.get_mut(name)
            && let Ok(bound) = value.replace('_', "").parse::<f64>()
        {
            *value = format!("{bound}");
        }
    }
    labels.retain(|_, value| !value.is_empty());
}

impl Said {
    fn add(&mut self, mut labels: Labels, point: Point) {
        level(&mut labels);
        let points = self.series.entry(labels).or_default();
        if is_holdable(&point.time_ms) && points.iter().all(|p| p.time_ms != point.time_ms) {
            points.push(point);
        }
    }

    fn sort(mut self) -> Self {
        self.series.retain(|_, points| !points.is_empty());
        for points in self.series.values_mut() {
            points.sort_by_key(|point| point.time_ms);
        }
        self
    }

    /// Removes from both what only one of them says of native histograms.
    pub(super) fn level(&mut self, theirs: &mut Self) {
        for labels in std::mem::take(&mut self.alone) {
            let name = labels.get("__name__").cloned().unwrap_or_default();
            for suffix in ["_bucket", "_sum", "_count"] {
                let mut labels = labels.clone();
                labels.insert("__name__".to_owned(), format!("{name}{suffix}"));
                if suffix == "_bucket" {
                    labels.insert("le".to_owned(), "inf".to_owned());
                }
                self.series.remove(&labels);
                theirs.series.remove(&labels);
            }
        }
    }

    /// Removes series called like start times: which of them are is told by a type, and on a page
    /// whose lines were moved textparse takes the last type for that of every line.
    pub(super) fn without_created(mut self) -> Self {
        let is_created = |labels: &Labels| labels["__name__"].ends_with("_created");
        self.series.retain(|labels, _| !is_created(labels));
        self
    }

    /// Removes the blanks before a line, which textparse takes for a part of the name.
    pub(super) fn without_indentation(mut self) -> Self {
        for (mut labels, points) in std::mem::take(&mut self.series) {
            if let Some(name) = labels.get_mut("__name__") {
                *name = name.trim_start_matches([' ', '\t']).to_owned();
            }
            for point in points {
                self.add(labels.clone(), point);
            }
        }
        self.sort()
    }

    /// Returns what Davy read.
    pub(super) fn by_davy(page: &Page<'_>) -> Self {
        let mut said = Self::default();
        let created = Created::of(page);
        for sample in &page.samples {
            let Some(family) = page.family(sample).filter(|_| sample.role != Role::Created) else {
                continue;
            };
            let mut labels = of_labels(page.labels(sample));
            let suffix = match sample.role {
                Role::Bucket => "_bucket",
                Role::Count => "_count",
                Role::Sum => "_sum",
                role => role.suffix(),
            };
            let name = without_g(format!("{}{suffix}", family.name), page.format);
            labels.insert("__name__".to_owned(), name);
            let bound = match sample.role {
                Role::Bucket => Some("le"),
                Role::Quantile => Some("quantile"),
                _ => None,
            };
            if let Some(name) = bound {
                labels.insert(name.to_owned(), sample.bound.to_string());
            }
            let point = Point {
                time_ms: milliseconds(sample.time_unix_nano),
                value: sample.value,
                start_ms: created.start(page, sample),
                exemplar: page.exemplar(sample).map(|shown| observed(page, shown)),
            };
            said.add(labels, point);
        }
        said.natives_by_davy(page);
        for family in &page.families {
            let name = family.name.to_string();
            insert_once(&mut said.types, name.clone(), family.kind.word());
            insert_once(&mut said.helps, name.clone(), &family.help);
            insert_once(&mut said.units, name, family.unit);
        }
        said.sort()
    }

    fn natives_by_davy(&mut self, page: &Page<'_>) {
        for native in page.natives() {
            let family = page.families.get(native.family as usize).expect("a family");
            let mut labels = of_labels(page.native_labels(native));
            labels.insert("__name__".to_owned(), family.name.to_string());
            level(&mut labels);
            let whole = |buckets: exposition::Buckets<'_>| {
                let buckets = buckets.map_while(Result::ok);
                filled(buckets.map(|(index, count)| (index, count as f64)))
            };
            let float =
                |buckets: exposition::FloatBuckets<'_>| filled(buckets.map_while(Result::ok));
            let (positive, negative) = if native.is_float {
                (
                    float(native.positive_floats()),
                    float(native.negative_floats()),
                )
            } else {
                (whole(native.positive()), whole(native.negative()))
            };
            let zero_count = match native.is_float {
                true => native.zero_count_float,
                false => native.zero_count as f64,
            };
            let exemplars = page.native_exemplars(native).iter();
            let exemplars = exemplars.map(|shown| observed(page, shown));
            if !native.has_classic {
                self.alone.push(labels.clone());
            }
            self.natives.entry(labels).or_default().push(Native {
                time_ms: milliseconds(native.time_unix_nano),
                start_ms: milliseconds(Some(native.start_unix_nano)).unwrap_or(0),
                schema: native.schema,
                is_float: native.is_float,
                sum: bits(native.sum),
                zero: (bits(native.zero_threshold), bits(zero_count)),
                positive,
                negative,
                // The schema says: "These exemplars MUST have a timestamp."
                exemplars: exemplars.filter(|shown| shown.time_ms.is_some()).collect(),
            });
        }
    }

    /// Returns what another parser read.
    pub(super) fn by_other(parsed: &Parsed, format: Format) -> Self {
        let mut said = Self::default();
        for sample in &parsed.samples {
            let mut labels = of_pairs(&sample.labels, false);
            if let Some(name) = labels.get_mut("__name__") {
                *name = without_g(std::mem::take(name), format);
            }
            let point = Point {
                time_ms: sample.time_ms,
                value: number(&sample.value),
                start_ms: sample.start_ms,
                exemplar: sample.exemplar.as_ref().map(|shown| other(shown, format)),
            };
            said.add(labels, point);
        }
        for native in &parsed.natives {
            let side = |buckets: &[oracle::Bucket]| {
                let buckets = buckets.iter();
                buckets.map(|b| (b.index, bits(number(&b.count)))).collect()
            };
            let mut labels = of_pairs(&native.labels, false);
            level(&mut labels);
            let zero = [&native.zero_threshold, &native.zero_count].map(|n| bits(number(n)));
            said.natives.entry(labels).or_default().push(Native {
                time_ms: native.time_ms,
                start_ms: native.start_ms,
                schema: native.schema,
                is_float: native.is_float,
                sum: bits(number(&native.sum)),
                zero: (zero[0], zero[1]),
                positive: side(&native.positive),
                negative: side(&native.negative),
                exemplars: native.exemplars.iter().map(|e| other(e, format)).collect(),
            });
        }
        let lists = [
            (&parsed.types, &mut said.types),
            (&parsed.helps, &mut said.helps),
            (&parsed.units, &mut said.units),
        ];
        for (pairs, map) in lists {
            for (name, value) in pairs {
                let name = if format == Format::Protobuf {
                    name.clone()
                } else {
                    unescaped(name)
                };
                insert_once(map, name, value);
            }
        }
        said.sort()
    }
}

/// The `_created` samples of a page by family and labels.
struct Created(BTreeMap<(u32, Labels), i64>);

impl Created {
    fn of(page: &Page<'_>) -> Self {
        let created = page.samples.iter().filter(|s| s.role == Role::Created);
        let start = |seconds: f64| (seconds * 1000.0) as i64;
        Self(
            created
                .map(|s| ((s.family, of_labels(page.labels(s))), start(s.value)))
                .collect(),
        )
    }

    fn start(&self, page: &Page<'_>, sample: &exposition::Sample) -> i64 {
        let key = (sample.family, of_labels(page.labels(sample)));
        self.0.get(&key).copied().unwrap_or(0)
    }
}

fn of_labels(labels: &[Label<'_>]) -> Labels {
    let pair = |label: &Label<'_>| (label.name.to_string(), label.value.to_string());
    labels.iter().map(pair).collect()
}

fn of_pairs(pairs: &[(String, String)], escaped: bool) -> Labels {
    let text = |text: &str| {
        if escaped {
            unescaped(text)
        } else {
            text.to_owned()
        }
    };
    pairs
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

fn observed(page: &Page<'_>, shown: &exposition::Exemplar) -> Observed {
    let mut labels = of_labels(page.exemplar_labels(shown));
    labels.retain(|_, value| !value.is_empty());
    Observed {
        labels,
        bits: bits(shown.value),
        time_ms: milliseconds(shown.time_unix_nano),
    }
}

fn other(shown: &oracle::Observed, format: Format) -> Observed {
    let mut labels = of_pairs(&shown.labels, format == Format::OpenMetrics);
    labels.retain(|_, value| !value.is_empty());
    Observed {
        labels,
        bits: bits(number(&shown.value)),
        time_ms: shown.time_ms,
    }
}

/// Undoes what the formats escape within quotes.
fn unescaped(text: &str) -> String {
    let (mut out, mut chars) = (String::new(), text.chars().peekable());
    while let Some(c) = chars.next() {
        let known = match chars.peek() {
            Some('n') if c == '\\' => '\n',
            Some('\\') if c == '\\' => '\\',
            Some('"') if c == '\\' => '"',
            _ => {
                out.push(c);
                continue;
            }
        };
        out.push(known);
        chars.next();
    }
    out
}
