//! Exemplars: `trace_id` and `span_id` become ids when they are ids, all else attributes.

use opentelemetry_proto::tonic::metrics::v1::Exemplar;
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value;

use super::attributes;
use crate::exposition::{self, Page, Sample};

/// Returns the exemplar of a sample.
pub(crate) fn of_sample(page: &Page<'_>, sample: &Sample, time: u64) -> Option<Exemplar> {
    page.exemplar(sample).map(|source| of(page, source, time))
}

/// Returns an exemplar; one without a timestamp has that of its point, `time`.
pub(crate) fn of(page: &Page<'_>, source: &exposition::Exemplar, time: u64) -> Exemplar {
    let mut exemplar = Exemplar {
        time_unix_nano: source.time_unix_nano.unwrap_or(time),
        value: Some(Value::AsDouble(source.value)),
        ..Exemplar::default()
    };
    for label in page.exemplar_labels(source) {
        let (id, length) = match label.name.as_ref() {
            "trace_id" => (&mut exemplar.trace_id, 16),
            "span_id" => (&mut exemplar.span_id, 8),
            _ => {
                let attribute = attributes::text(&label.name, &label.value);
                exemplar.filtered_attributes.push(attribute);
                continue;
            }
        };
        match hex_id(&label.value, length) {
            Some(bytes) => *id = bytes,
            None => {
                let attribute = attributes::text(&label.name, &label.value);
                exemplar.filtered_attributes.push(attribute);
            }
        }
    }
    exemplar
}

/// Reads an id of `length` bytes in hex; one of zeros is none.
fn hex_id(text: &str, length: usize) -> Option<Vec<u8>> {
    if text.len() != length * 2 {
        return None;
    }
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|d| d as u8);
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect();
    bytes.filter(|bytes| bytes.iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use super::hex_id;

    #[test]
    fn ids_are_hex_of_their_length_and_not_zero() {
        assert_eq!(
            hex_id("00f067aa0ba902B7", 8),
            Some(vec![0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 2, 0xb7])
        );
        for bad in [
            "",
            "00f067aa0ba902",
            "00f067aa0ba902g7",
            "0000000000000000",
            "KOO5S4vxi0oé12345",
        ] {
            assert_eq!(hex_id(bad, 8), None, "{bad}");
        }
    }
}
