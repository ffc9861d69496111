//! UNIT words into UCUM, by the compatibility specification's table.

/// Words of OpenMetrics and their UCUM codes; any other word stays as it is.
const UNITS: [(&str, &str); 26] = [
    ("amperes", "A"),
    ("bytes", "By"),
    ("celsius", "Cel"),
    ("days", "d"),
    ("gibibytes", "GiBy"),
    ("gigabytes", "GBy"),
    ("grams", "g"),
    ("hertz", "Hz"),
    ("hours", "h"),
    ("joules", "J"),
    ("kibibytes", "KiBy"),
    ("kilobytes", "kBy"),
    ("mebibytes", "MiBy"),
    ("megabytes", "MBy"),
    ("meters", "m"),
    ("microseconds", "us"),
    ("milliseconds", "ms"),
    ("minutes", "min"),
    ("nanoseconds", "ns"),
    ("percent", "%"),
    ("seconds", "s"),
    ("tebibytes", "TiBy"),
    ("terabytes", "TBy"),
    ("volts", "V"),
    ("watts", "W"),
    ("", ""),
];

/// Returns the OTLP unit of a UNIT word.
pub(crate) fn ucum(word: &str) -> &str {
    let known = UNITS.iter().find(|(name, _)| *name == word);
    known.map_or(word, |(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_codes_and_others_stay() {
        for (word, expected) in [
            ("seconds", "s"),
            ("bytes", "By"),
            ("mebibytes", "MiBy"),
            ("celsius", "Cel"),
            ("percent", "%"),
            ("widgets", "widgets"),
            ("", ""),
        ] {
            assert_eq!(ucum(word), expected);
        }
    }
}
