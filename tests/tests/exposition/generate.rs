//! Pages drawn from a seed, as the specifications allow them, in each format.

use std::fmt::Write as _;

use super::draw::Draw;
use super::wire;

/// A family with its metrics.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) help: Option<String>,
    /// In OpenMetrics the name's ending.
    pub(super) unit: &'static str,
    pub(super) metrics: Vec<Metric>,
}

/// A label set with its value.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
    /// Bounds with cumulative counts, or quantiles with values.
    pub(super) steps: Vec<(f64, f64)>,
    pub(super) sum: Option<f64>,
    pub(super) count: f64,
    pub(super) time_ms: Option<i64>,
    pub(super) created_ms: Option<i64>,
    pub(super) exemplar: Option<Exemplar>,
}

/// An exemplar.
#[derive(Clone, Debug)]
pub(super) struct Exemplar {
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
    pub(super) time_ms: Option<i64>,
}

/// What is put into names and values.
const PIECES: &[&str] = &[
    "a", "B", "0", "_", "/", ".", " ", "{", "}", ",", "=", "#", "\"", "\\", "\n", "é", "日", "🦀",
    "n", "le", "\t", "\r", "'", "+Inf", "id", "# {", "} 1",
];
/// What names consist of that need no quotes.
const LETTERS: &[&str] = &["a", "b", "Z", "_", "x1", "total_of", "q9"];
const KINDS: &[&str] = &[
    "counter",
    "gauge",
    "histogram",
    "summary",
    "unknown",
    "info",
    "stateset",
    "gaugehistogram",
];

/// Which format a page is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    OpenMetrics,
    Protobuf,
    Text,
}

impl Style {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; \
                 proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
            Self::Text => "text/plain; version=1.0.0; charset=utf-8",
        }
    }
}

/// Draws a page.
pub(super) fn page(draw: &mut Draw, style: Style) -> Vec<u8> {
    let count = 1 + draw.below(5);
    let families: Vec<Family> = (0..count).map(|index| family(draw, index, style)).collect();
    match style {
        Style::Protobuf => families.iter().flat_map(wire::family).collect(),
        Style::OpenMetrics => print(&families, true).into_bytes(),
        Style::Text => print(&families, false).into_bytes(),
    }
}

fn text(draw: &mut Draw, most: usize) -> String {
    let pieces = draw.below(most + 1);
    (0..pieces).map(|_| *draw.pick(PIECES)).collect()
}

fn name(draw: &mut Draw) -> String {
    match draw.one_in(4) {
        true => text(draw, 4) + "x",
        false => {
            let pieces = 1 + draw.below(3);
            (0..pieces).map(|_| *draw.pick(LETTERS)).collect()
        }
    }
}

fn labels(draw: &mut Draw, number: usize) -> Vec<(String, String)> {
    let mut labels = vec![("m".to_owned(), number.to_string())];
    for index in 0..draw.below(4) {
        let tail = name(draw);
        labels.push((format!("l{index}{tail}"), text(draw, 5)));
    }
    if draw.one_in(2) {
        labels.reverse();
    }
    labels
}

fn family(draw: &mut Draw, index: usize, style: Style) -> Family {
    let kinds = match style {
        Style::OpenMetrics => KINDS,
        Style::Protobuf => &["counter", "gauge", "histogram", "summary", "unknown"],
        Style::Text => &KINDS[..5],
    };
    let kind = *draw.pick(kinds);
    let unit = match style {
        Style::OpenMetrics if !matches!(kind, "info" | "stateset") && draw.one_in(3) => "seconds",
        _ => "",
    };
    let mut family_name = format!("f{index}{}", name(draw));
    if !unit.is_empty() {
        family_name = format!("{family_name}_{unit}");
    }
    let help = draw.one_in(2).then(|| text(draw, 6).trim().to_owned());
    let metrics = 1 + draw.below(4);
    let metrics = (0..metrics).map(|number| metric(draw, kind, &family_name, number, style));
    let metrics = metrics.collect();
    Family {
        name: family_name,
        kind,
        help,
        unit,
        metrics,
    }
}

fn metric(draw: &mut Draw, kind: &str, family: &str, number: usize, style: Style) -> Metric {
    let mut labels = labels(draw, number);
    let timed = draw.one_in(4);
    let time_ms = timed.then(|| 1_600_000_000_000 + draw.below(1 << 40) as i64);
    let value = match kind {
        "counter" if style == Style::OpenMetrics => draw.below(1 << 40) as f64 / 64.0,
        "info" => 1.0,
        "stateset" => draw.below(2) as f64,
        _ => draw.float(),
    };
    if kind == "stateset" {
        labels.push((family.to_owned(), format!("s{number}")));
    }
    let mut metric = Metric {
        labels,
        value,
        steps: Vec::new(),
        sum: None,
        count: 0.0,
        time_ms,
        created_ms: None,
        exemplar: None,
    };
    match kind {
        "histogram" | "gaugehistogram" => buckets(draw, &mut metric),
        "summary" => quantiles(draw, &mut metric),
        _ => {}
    }
    let has_created = matches!(kind, "counter" | "histogram" | "summary");
    if has_created && style != Style::Text && draw.one_in(2) {
        metric.created_ms = Some(1_600_000_000_000 + draw.below(1 << 40) as i64);
    }
    if matches!(kind, "counter" | "histogram") && style != Style::Text && draw.one_in(2) {
        metric.exemplar = Some(exemplar(draw, &metric));
    }
    metric
}

fn buckets(draw: &mut Draw, metric: &mut Metric) {
    let (mut bound, mut count) = (0.001, 0);
    for _ in 0..draw.below(5) {
        bound *= 1.0 + draw.below(900) as f64 / 64.0 + 0.5;
        count += draw.below(1000);
        metric.steps.push((bound, count as f64));
    }
    metric.count = (count + draw.below(50)) as f64;
    metric.steps.push((f64::INFINITY, metric.count));
    metric.sum = Some(draw.below(1 << 30) as f64 / 32.0);
}

fn quantiles(draw: &mut Draw, metric: &mut Metric) {
    for quantile in [0.5, 0.9, 0.99].into_iter().take(draw.below(4)) {
        let nothing = draw.one_in(4);
        let value = if nothing {
            f64::NAN
        } else {
            draw.below(4096) as f64 / 128.0
        };
        metric.steps.push((quantile, value));
    }
    metric.count = draw.below(1 << 40) as f64;
    metric.sum = Some(draw.below(1 << 30) as f64 / 32.0);
}

fn exemplar(draw: &mut Draw, metric: &Metric) -> Exemplar {
    let trace = format!(
        "{:032x}",
        u128::from(draw.next()) << 64 | u128::from(draw.next())
    );
    let mut labels = vec![("trace_id".to_owned(), trace)];
    if draw.one_in(2) {
        labels.push(("x".to_owned(), text(draw, 4)));
    }
    let value = match metric.steps.first() {
        Some((bound, _)) if bound.is_finite() => bound / 2.0,
        _ => 1.5,
    };
    let timed = draw.one_in(2);
    Exemplar {
        labels,
        value,
        time_ms: timed.then(|| 1_600_000_000_000 + draw.below(1 << 40) as i64),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('"', "\\\"")
}

fn is_plain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(allowed) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn quoted(name: &str) -> String {
    if is_plain(name) {
        name.to_owned()
    } else {
        format!("\"{}\"", escaped(name))
    }
}

fn print(families: &[Family], open: bool) -> String {
    let mut page = String::new();
    for family in families {
        print_family(&mut page, family, open);
    }
    if open {
        page.push_str("# EOF\n");
    }
    page
}

fn print_family(page: &mut String, family: &Family, open: bool) {
    let name = quoted(&family.name);
    let word = match family.kind {
        "unknown" if !open => "untyped",
        kind => kind,
    };
    writeln!(page, "# TYPE {name} {word}").expect("memory");
    if !family.unit.is_empty() {
        writeln!(page, "# UNIT {name} {}", family.unit).expect("memory");
    }
    if let Some(help) = &family.help {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let help = if open {
            help.replace('"', "\\\"")
        } else {
            help
        };
        writeln!(page, "# HELP {name} {help}").expect("memory");
    }
    for metric in &family.metrics {
        print_metric(page, family, metric, open);
    }
}

fn print_metric(page: &mut String, family: &Family, metric: &Metric, open: bool) {
    let mut line = |suffix: &str, bound: Option<(&str, f64)>, value: f64, shown: bool| {
        let shown = metric.exemplar.as_ref().filter(|_| shown);
        let name = format!("{}{suffix}", family.name);
        let labels = label_set(&name, &metric.labels, bound);
        let time = time(metric.time_ms, open);
        let shown = shown.map_or(String::new(), |shown| {
            let labels = label_set("", &shown.labels, None);
            let time = self::time(shown.time_ms, true);
            format!(" # {labels} {}{time}", float(shown.value))
        });
        writeln!(page, "{labels} {}{time}{shown}", float(value)).expect("memory");
    };
    let gauge = if family.kind == "gaugehistogram" {
        "g"
    } else {
        ""
    };
    match family.kind {
        "counter" if open => line("_total", None, metric.value, true),
        "info" => line("_info", None, metric.value, false),
        "histogram" | "gaugehistogram" => {
            for (index, (bound, value)) in metric.steps.iter().enumerate() {
                line("_bucket", Some(("le", *bound)), *value, index == 0);
            }
        }
        "summary" => {
            for (quantile, value) in &metric.steps {
                line("", Some(("quantile", *quantile)), *value, false);
            }
        }
        _ => line("", None, metric.value, false),
    }
    if let Some(sum) = metric.sum {
        line(&format!("_{gauge}sum"), None, sum, false);
        line(&format!("_{gauge}count"), None, metric.count, false);
    }
    if let Some(created) = metric.created_ms {
        line("_created", None, created as f64 / 1000.0, false);
    }
}

fn time(time_ms: Option<i64>, open: bool) -> String {
    match time_ms {
        Some(time) if open => format!(" {}.{:03}", time / 1000, time % 1000),
        Some(time) => format!(" {time}"),
        None => String::new(),
    }
}

fn float(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        _ if value == f64::INFINITY => "+Inf".to_owned(),
        _ if value == f64::NEG_INFINITY => "-Inf".to_owned(),
        _ if value != 0.0 && !(1e-5..1e15).contains(&value.abs()) => format!("{value:e}"),
        _ => format!("{value}"),
    }
}

/// Prints a name with its labels; without a name, those of an exemplar.
fn label_set(name: &str, labels: &[(String, String)], bound: Option<(&str, f64)>) -> String {
    let mut inside: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{}=\"{}\"", quoted(name), escaped(value)))
        .collect();
    if let Some((label, bound)) = bound {
        inside.push(format!("{label}=\"{}\"", float(bound)));
    }
    if is_plain(name) {
        return format!("{name}{{{}}}", inside.join(","));
    }
    inside.insert(0, quoted(name));
    format!("{{{}}}", inside.join(","))
}
