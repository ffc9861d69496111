//! Inputs of several parts.

/// What stands between two parts; no UTF-8 has it.
pub(crate) const SEPARATOR: &[u8] = b"\xff\xfe\xfd\xfc";

/// The parts of an input, at least one.
pub(crate) fn split(input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest
        .windows(SEPARATOR.len())
        .position(|window| window == SEPARATOR)
    {
        let (part, after) = rest.split_at(at);
        parts.push(part);
        rest = after.get(SEPARATOR.len()..).unwrap_or_default();
    }
    parts.push(rest);
    parts
}

/// An input of these parts.
pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(SEPARATOR)
}

/// The first byte, 0 where there is none, and what follows.
pub(crate) fn head(input: &[u8]) -> (u8, &[u8]) {
    input
        .split_first()
        .map_or((0, input), |(first, rest)| (*first, rest))
}

/// Takes numbers out of bytes, zeros behind their end.
pub(crate) struct Numbers<'a>(pub(crate) &'a [u8]);

impl<'a> Numbers<'a> {
    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let (byte, rest) = head(self.0);
        self.0 = rest;
        byte
    }

    /// Two bytes, the lower first.
    pub(crate) fn short(&mut self) -> usize {
        usize::from(self.byte()) | usize::from(self.byte()) << 8
    }

    /// Eight bytes, the lowest first.
    pub(crate) fn long(&mut self) -> u64 {
        (0..8).fold(0, |sum, at| sum | u64::from(self.byte()) << (8 * at))
    }

    /// The next bytes, at most so many.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
