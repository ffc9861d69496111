//! Sets of characters as ranges of code points, with Go's classes.

/// Inclusive ranges.
pub(super) type Ranges = Vec<(u32, u32)>;

/// The last code point.
const LAST: u32 = 0x10_ffff;
/// Code points that no text has.
const SURROGATES: (u32, u32) = (0xd800, 0xdfff);

/// A set of characters under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Set(Ranges);

/// A letter beyond ASCII where case does not count: which others it equals is not known here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unfoldable(pub(super) char);

impl Set {
    /// Every character.
    pub(super) fn any() -> Self {
        Self(vec![(0, LAST)])
    }

    /// One of Go's classes: `d`, `s`, `w`, or a POSIX name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let text = |text: &str| {
            let pairs = text.as_bytes().as_chunks::<2>().0;
            pairs
                .iter()
                .map(|[a, b]| (u32::from(*a), u32::from(*b)))
                .collect()
        };
        Some(Self(match name {
            "d" | "digit" => text("09"),
            "s" => text("\t\n\x0c\r  "),
            "w" | "word" => text("09AZ__az"),
            "alnum" => text("09AZaz"),
            "alpha" => text("AZaz"),
            "ascii" => text("\0\x7f"),
            "blank" => text("\t\t  "),
            "cntrl" => text("\0\x1f\x7f\x7f"),
            "graph" => text("!~"),
            "lower" => text("az"),
            "print" => text(" ~"),
            "punct" => text("!/:@[`{~"),
            "space" => text("\t\r  "),
            "upper" => text("AZ"),
            "xdigit" => text("09AFaf"),
            _ => return None,
        }))
    }

    pub(super) fn add(&mut self, from: u32, to: u32) {
        self.0.push((from, to));
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// Adds what equals these characters where case does not count: besides the other case of
    /// ASCII letters these are the Kelvin sign and the long s.
    pub(super) fn fold(&mut self) -> Result<(), Unfoldable> {
        let mut more = Ranges::new();
        for &(from, to) in &self.0 {
            if let Some(first) = (from.max(0x80)..=to).find_map(cased) {
                return Err(Unfoldable(first));
            }
            for byte in (from..=to.min(0x7f)).filter_map(|c| u8::try_from(c).ok()) {
                let other = byte ^ 0x20;
                if byte.is_ascii_alphabetic() {
                    more.push((u32::from(other), u32::from(other)));
                }
                match byte {
                    b'k' | b'K' => more.push((0x212a, 0x212a)),
                    b's' | b'S' => more.push((0x17f, 0x17f)),
                    _ => {}
                }
            }
        }
        self.0.extend(more);
        Ok(())
    }

    pub(super) fn negate(self) -> Self {
        let mut out = Ranges::new();
        let mut next = 0;
        for (from, to) in sorted(self.0) {
            if from > next {
                out.push((next, from - 1));
            }
            next = next.max(to + 1);
        }
        if next <= LAST {
            out.push((next, LAST));
        }
        Self(out)
    }

    /// Returns the ranges in order, apart from each other, without surrogates.
    pub(super) fn finish(self) -> Ranges {
        let mut out = Ranges::new();
        for (from, to) in sorted(self.0) {
            let (low, high) = SURROGATES;
            let parts = [(from, to.min(low - 1)), (from.max(high + 1), to)];
            for (from, to) in parts.into_iter().filter(|(from, to)| from <= to) {
                match out.last_mut() {
                    Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                    _ => out.push((from, to)),
                }
            }
        }
        out
    }
}

fn sorted(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    ranges
}

/// Returns the character when it has another case.
fn cased(code: u32) -> Option<char> {
    let c = char::from_u32(code)?;
    let is_same = c.to_lowercase().eq([c]) && c.to_uppercase().eq([c]);
    (!is_same).then_some(c)
}
