//! Whether a file is still the one that was read: its first bytes.
//!
//! A path and even an inode say too little. `copytruncate` keeps both and empties the file; a new
//! file may get the inode of one just removed.

/// Most bytes of a fingerprint: a few lines with their stamps.
pub const FINGERPRINT_BYTES_MAX: usize = 1024;

/// The first bytes of a file, as many as there were when it was looked at.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fingerprint {
    bytes: Vec<u8>,
}

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identity {
    /// It begins otherwise: it was emptied and written anew.
    Other,
    /// It begins as before, and may have grown.
    Same,
    /// It has fewer bytes than were seen: it was emptied.
    Shrunk,
}

impl Fingerprint {
    /// Takes the first bytes of a file.
    pub fn new(head: &[u8]) -> Self {
        let mut fingerprint = Self::default();
        fingerprint.grow(head);
        fingerprint
    }

    /// Compares with the first bytes of what may be another file, and learns more of them where
    /// they are the same.
    pub fn compare(&mut self, head: &[u8]) -> Identity {
        if head.starts_with(&self.bytes) {
            self.grow(head);
            return Identity::Same;
        }
        match self.bytes.starts_with(head) {
            true => Identity::Shrunk,
            false => Identity::Other,
        }
    }

    fn grow(&mut self, head: &[u8]) {
        let head = head.get(..FINGERPRINT_BYTES_MAX).unwrap_or(head);
        self.bytes
            .extend_from_slice(head.get(self.bytes.len()..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_is_the_same() {
        let mut fingerprint = Fingerprint::new(b"");
        assert_eq!(fingerprint.compare(b"a line\n"), Identity::Same);
        assert_eq!(fingerprint.compare(b"a line\nanother\n"), Identity::Same);
        assert_eq!(fingerprint.compare(b"a line\nother\n"), Identity::Other);
        assert_eq!(fingerprint.compare(b"a li"), Identity::Shrunk);
        assert_eq!(fingerprint.compare(b""), Identity::Shrunk);
    }

    #[test]
    fn only_the_first_bytes_count() {
        let long = vec![b'x'; 3 * FINGERPRINT_BYTES_MAX];
        let mut fingerprint = Fingerprint::new(&long);
        let mut changed = long;
        changed.push(b'y');
        assert_eq!(fingerprint.compare(&changed), Identity::Same);
        assert_eq!(fingerprint.bytes.len(), FINGERPRINT_BYTES_MAX);
    }
}
