//! What a request of either protocol says of the page: points or samples, and a sum of values.
//!
//! The sum runs over what is whole on the page and grows from scrape to scrape, counters and counts
//! of histograms. A scrape that arrives twice, or with the values of another, shows in it.

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::wire::{Value, fields};

/// What the names of the page begin with, to tell them from a scraper's own.
const PREFIXES: [&[u8]; 2] = [b"http_server_", b"shop_"];
/// A point that marks the end of its series (`DataPointFlags`, OTLP).
const NO_RECORDED_VALUE: u64 = 1;
/// The same in Prometheus: one NaN of many (`model/value/value.go`).
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Count {
    /// Data points where histograms are one each, else samples.
    pub(super) items: u64,
    /// Sum of all counters and counts.
    pub(super) sum: u64,
}

impl Count {
    pub(super) fn add(&mut self, other: Self) {
        self.items += other.items;
        self.sum += other.sum;
    }

    pub(super) fn subtract(&mut self, other: Self) {
        self.items -= other.items;
        self.sum -= other.sum;
    }
}

/// How a scraper sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Otlp,
    RemoteWrite,
}

impl Protocol {
    /// Counts what a request has of the page.
    ///
    /// # Errors
    ///
    /// A body that is no request.
    pub(super) fn count(self, request: &[u8]) -> anyhow::Result<Count> {
        let mut count = Count::default();
        match self {
            // resource_metrics, scope_metrics, metrics
            Self::Otlp => {
                inside(request, &[1, 2, 2], &mut |metric| {
                    metric_of(metric, &mut count)
                })?;
            }
            // timeseries
            Self::RemoteWrite => {
                inside(request, &[1], &mut |series| of_series(series, &mut count))?;
            }
        }
        Ok(count)
    }
}

/// Counts what a page has: its points for OTLP, its samples for remote write.
///
/// # Errors
///
/// A line that is no sample.
pub(super) fn page(text: &[u8]) -> anyhow::Result<(Count, Count)> {
    let (mut points, mut samples) = (Count::default(), Count::default());
    for line in std::str::from_utf8(text)?.lines() {
        if line.starts_with('#') {
            continue;
        }
        let (Some((name, _)), Some((_, value))) = (line.split_once('{'), line.rsplit_once(' '))
        else {
            bail!("no sample: {line}");
        };
        let mut count = Count { items: 1, sum: 0 };
        if is_whole(name.as_bytes()) {
            count.sum = value.parse()?;
        }
        samples.add(count);
        if !name.ends_with("_bucket") && !name.ends_with("_sum") {
            points.add(count);
        }
    }
    Ok((points, samples))
}

fn is_whole(name: &[u8]) -> bool {
    name.ends_with(b"_total") || name.ends_with(b"_count")
}

fn is_of_page(name: &[u8]) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Calls `each` with all messages at the end of a path of field numbers.
fn inside(
    message: &[u8],
    path: &[u64],
    each: &mut impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Some((first, path)) = path.split_first() else {
        return each(message);
    };
    fields(message, |number, value| {
        if number == *first {
            inside(value.bytes(), path, each)?;
        }
        Ok(())
    })
}

/// An OTLP metric; fields may come in any order, and some encoders begin with the last.
fn metric_of(metric: &[u8], count: &mut Count) -> anyhow::Result<()> {
    let mut of_page = false;
    inside(metric, &[1], &mut |name| {
        of_page |= is_of_page(name);
        Ok(())
    })?;
    fields(metric, |number, value| {
        match (number, of_page) {
            (5, true) => inside(value.bytes(), &[1], &mut |point| {
                number_of(point, false, count)
            })?,
            (7, true) => inside(value.bytes(), &[1], &mut |point| {
                number_of(point, true, count)
            })?,
            (9, true) => inside(value.bytes(), &[1], &mut |point| histogram_of(point, count))?,
            (10 | 11, true) => bail!("the page has no such metric"),
            _ => {}
        }
        Ok(())
    })
}

fn number_of(point: &[u8], is_whole: bool, count: &mut Count) -> anyhow::Result<()> {
    let (mut whole, mut flags) = (0, 0);
    fields(point, |number, value| {
        match (number, value) {
            (4, Value::Fixed(bits)) => whole = f64::from_bits(bits) as u64,
            (6, Value::Fixed(bits)) => whole = bits,
            (8, Value::Varint(bits)) => flags = bits,
            _ => {}
        }
        Ok(())
    })?;
    point_of(flags, if is_whole { whole } else { 0 }, count);
    Ok(())
}

fn histogram_of(point: &[u8], count: &mut Count) -> anyhow::Result<()> {
    let (mut total, mut flags) = (0, 0);
    fields(point, |number, value| {
        match (number, value) {
            (4, Value::Fixed(bits)) => total = bits,
            (10, Value::Varint(bits)) => flags = bits,
            _ => {}
        }
        Ok(())
    })?;
    point_of(flags, total, count);
    Ok(())
}

fn point_of(flags: u64, sum: u64, count: &mut Count) {
    if flags & NO_RECORDED_VALUE == 0 {
        count.add(Count { items: 1, sum });
    }
}

/// A series of remote write: labels, then samples.
fn of_series(series: &[u8], count: &mut Count) -> anyhow::Result<()> {
    let mut name: &[u8] = &[];
    fields(series, |number, value| {
        match number {
            1 => {
                let (mut key, mut text): (&[u8], &[u8]) = (&[], &[]);
                fields(value.bytes(), |number, value| {
                    match number {
                        1 => key = value.bytes(),
                        _ => text = value.bytes(),
                    }
                    Ok(())
                })?;
                if key == b"__name__" {
                    name = text;
                }
            }
            2 if is_of_page(name) => count_sample(value.bytes(), is_whole(name), count)?,
            4 => bail!("the page has no native histogram"),
            _ => {}
        }
        Ok(())
    })
}

fn count_sample(sample: &[u8], is_whole: bool, count: &mut Count) -> anyhow::Result<()> {
    let mut bits = 0;
    fields(sample, |number, value| {
        if let (1, Value::Fixed(value)) = (number, value) {
            bits = value;
        }
        Ok(())
    })?;
    if bits != STALE {
        let sum = if is_whole {
            f64::from_bits(bits) as u64
        } else {
            0
        };
        count.add(Count { items: 1, sum });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes shorter than 128.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("short");
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn fixed(number: u8, bits: u64) -> Vec<u8> {
        [&[number << 3 | 1], &bits.to_le_bytes()[..]].concat()
    }

    fn series(name: &str, bits: u64) -> Vec<u8> {
        let label = [field(1, b"__name__"), field(2, name.as_bytes())].concat();
        field(1, &[field(1, &label), field(2, &fixed(1, bits))].concat())
    }

    fn counter(name: &str, value: f64, flags: u8) -> Vec<u8> {
        let point = [fixed(4, value.to_bits()), vec![8 << 3, flags]].concat();
        let metric = [field(1, name.as_bytes()), field(7, &field(1, &point))].concat();
        field(1, &field(2, &field(2, &metric)))
    }

    #[test]
    fn values_count_and_marks_of_an_end_do_not() {
        let request = [
            series("shop_sold_total", 5f64.to_bits()),
            series("shop_stock_ratio", 0.5f64.to_bits()),
            series("shop_sold_total", STALE),
            series("up", 1f64.to_bits()),
        ];
        let counted = Protocol::RemoteWrite.count(&request.concat());
        assert_eq!(counted.expect("a request"), Count { items: 2, sum: 5 });
        let request = [
            counter("shop_sold_total", 5.0, 0),
            counter("shop_sold_total", 0.0, 1),
            counter("scrape_samples_total", 7.0, 0),
        ];
        let counted = Protocol::Otlp.count(&request.concat());
        assert_eq!(counted.expect("a request"), Count { items: 1, sum: 5 });
        assert!(Protocol::Otlp.count(&request.concat()[..20]).is_err());
    }

    #[test]
    fn a_histogram_of_a_page_is_one_point() {
        let text = "# TYPE shop_seconds histogram\nshop_seconds_bucket{le=\"+Inf\"} 3\n\
                    shop_seconds_sum{a=\"b\"} 0.5\nshop_seconds_count{a=\"b\"} 3\n\
                    shop_stock_ratio{a=\"b\"} 1.5\n";
        let (points, samples) = page(text.as_bytes()).expect("a page");
        assert_eq!(points, Count { items: 2, sum: 3 });
        assert_eq!(samples, Count { items: 4, sum: 3 });
    }
}
