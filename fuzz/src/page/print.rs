//! Writes a page that was read as text again.

use std::fmt::Write as _;

use davy_agent_core::exposition::{Family, Format, Kind, Label, Page, Role, Sample};

/// The page as text of its own format, which is OpenMetrics or Prometheus's.
pub(crate) fn page(page: &Page<'_>) -> String {
    let mut out = Printer {
        open: page.format == Format::OpenMetrics,
        text: String::new(),
    };
    let mut samples = page.samples.as_slice();
    for (number, family) in page.families.iter().enumerate() {
        out.metadata(family);
        let own = samples
            .iter()
            .take_while(|sample| sample.family as usize == number)
            .count();
        let (own, rest) = samples.split_at(own);
        samples = rest;
        for sample in own {
            out.sample(page, family, sample);
        }
    }
    if out.open {
        out.text.push_str("# EOF\n");
    }
    out.text
}

struct Printer {
    open: bool,
    text: String,
}

// Writing to a String can't fail, so its results are of no use here.
impl Printer {
    fn metadata(&mut self, family: &Family<'_>) {
        let name = name(&family.name);
        let kind = match family.kind {
            Kind::Unknown if !self.open => "untyped",
            kind => kind.word(),
        };
        if !family.help.is_empty() {
            let help = escaped(&family.help, self.open);
            let _ = writeln!(self.text, "# HELP {name} {help}");
        }
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
        if !family.unit.is_empty() {
            let _ = writeln!(self.text, "# UNIT {name} {}", family.unit);
        }
    }

    fn sample(&mut self, page: &Page<'_>, family: &Family<'_>, sample: &Sample) {
        let full = format!("{}{}", family.name, self.suffix(family.kind, sample.role));
        let mut labels = labels(page.labels(sample));
        match sample.role {
            Role::Bucket => labels.push(format!("le=\"{}\"", number(sample.bound))),
            Role::Quantile => labels.push(format!("quantile=\"{}\"", number(sample.bound))),
            _ => {}
        }
        if is_plain(&full) {
            let _ = write!(self.text, "{full}{{{}}}", labels.join(","));
        } else {
            labels.insert(0, name(&full));
            let _ = write!(self.text, "{{{}}}", labels.join(","));
        }
        let _ = write!(self.text, " {}", number(sample.value));
        if let Some(nanos) = sample.time_unix_nano {
            self.time(nanos);
        }
        if let Some(exemplar) = page.exemplar(sample) {
            let labels = self::labels(page.exemplar_labels(exemplar));
            let value = number(exemplar.value);
            let _ = write!(self.text, " # {{{}}} {value}", labels.join(","));
            if let Some(nanos) = exemplar.time_unix_nano {
                self.time(nanos);
            }
        }
        self.text.push('\n');
    }

    fn time(&mut self, nanos: u64) {
        let _ = match self.open {
            true => write!(
                self.text,
                " {}.{:09}",
                nanos / 1_000_000_000,
                nanos % 1_000_000_000
            ),
            false => write!(self.text, " {}", nanos / 1_000_000),
        };
    }

    fn suffix(&self, kind: Kind, role: Role) -> &'static str {
        let gauge = kind == Kind::GaugeHistogram && self.open;
        match role {
            Role::Bucket => "_bucket",
            Role::Count if gauge => "_gcount",
            Role::Count => "_count",
            Role::Created => "_created",
            Role::Info => "_info",
            Role::Sum if gauge => "_gsum",
            Role::Sum => "_sum",
            Role::Total => "_total",
            Role::Quantile | Role::Value => "",
        }
    }
}

fn labels(labels: &[Label<'_>]) -> Vec<String> {
    let label = |label: &Label<'_>| {
        let name = match label.name.contains(':') {
            true => quoted(&label.name),
            false => name(&label.name),
        };
        format!("{name}={}", quoted(&label.value))
    };
    labels.iter().map(label).collect()
}

fn name(text: &str) -> String {
    match is_plain(text) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// Whether a name needs no quotes.
fn is_plain(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':');
    name.bytes().next().is_some_and(letter)
        && name
            .bytes()
            .all(|byte| letter(byte) || byte.is_ascii_digit())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text, true))
}

fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    match quotes {
        true => text.replace('"', "\\\""),
        false => text,
    }
}

fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => format!("{value:e}"),
    }
}
