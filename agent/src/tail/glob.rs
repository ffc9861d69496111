//! Patterns of paths: `*` and `?` in any segment, as a shell reads them.

use std::fs;
use std::path::{Path, PathBuf};

/// Names that a rotation leaves behind compressed; they are never read.
const COMPRESSED: &[&str] = &["gz", "zst", "bz2", "xz"];

/// A pattern and the files that match it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pattern {
    /// Segments from the first one with a wildcard; empty for a plain path.
    segments: Vec<String>,
    /// What comes before them.
    base: PathBuf,
}

/// What a pattern stands for right now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Expansion {
    /// Regular files that match, in order; links are followed.
    pub(super) files: Vec<PathBuf>,
    /// Directories in which a match may appear.
    pub(super) directories: Vec<PathBuf>,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Self {
        let segments: Vec<&str> = pattern.split('/').collect();
        let is_wild = |segment: &&str| segment.contains(['*', '?']);
        let first = segments.iter().position(is_wild);
        let (base, rest) = segments.split_at(first.unwrap_or(segments.len()));
        let base = match base.join("/") {
            base if base.is_empty() && pattern.starts_with('/') => "/".into(),
            base if base.is_empty() => ".".into(),
            base => PathBuf::from(base),
        };
        Self {
            segments: rest.iter().map(|segment| (*segment).to_owned()).collect(),
            base,
        }
    }

    /// Looks for matches, at most `files_max` of them.
    pub(super) fn expand(&self, files_max: usize) -> Expansion {
        let mut expansion = Expansion::default();
        if self.segments.is_empty() {
            expansion
                .directories
                .extend(self.base.parent().map(|parent| match parent {
                    relative if relative.as_os_str().is_empty() => PathBuf::from("."),
                    parent => parent.to_owned(),
                }));
        }
        descend(&self.base, &self.segments, files_max, &mut expansion);
        expansion
    }
}

fn descend(at: &Path, segments: &[String], files_max: usize, expansion: &mut Expansion) {
    let Some((segment, rest)) = segments.split_first() else {
        // Only regular files: to open a FIFO would block.
        let readable = fs::metadata(at).is_ok_and(|metadata| metadata.is_file());
        let suffix = at
            .extension()
            .and_then(|suffix| suffix.to_str())
            .unwrap_or_default();
        if readable && !COMPRESSED.contains(&suffix) && expansion.files.len() < files_max {
            expansion.files.push(at.to_owned());
        }
        return;
    };
    if !segment.contains(['*', '?']) {
        descend(&at.join(segment), rest, files_max, expansion);
        return;
    }
    let Ok(entries) = fs::read_dir(at) else {
        return;
    };
    expansion.directories.push(at.to_owned());
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names {
        let text = name.to_string_lossy();
        let hidden = text.starts_with('.') && !segment.starts_with('.');
        if !hidden && matches(segment.as_bytes(), text.as_bytes()) {
            descend(&at.join(&name), rest, files_max, expansion);
        }
    }
}

/// Whether the name matches; on a mismatch only the last star takes one more byte, so this is
/// quadratic at worst.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut in_pattern, mut in_name) = (0, 0);
    let mut star = None;
    while let Some(byte) = name.get(in_name) {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((in_pattern, in_name));
                in_pattern += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                in_pattern += 1;
                in_name += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else {
                    return false;
                };
                star = Some((star_at, taken + 1));
                in_pattern = star_at + 1;
                in_name = taken + 1;
            }
        }
    }
    pattern.iter().skip(in_pattern).all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match() {
        let table = [
            ("*.log", "app.log", true),
            ("*.log", "app.log.1", false),
            ("a?p", "app", true),
            ("a?p", "ap", false),
            ("*", "", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbX", false),
            ("**", "x", true),
            ("", "x", false),
        ];
        for (pattern, name, expected) in table {
            let found = matches(pattern.as_bytes(), name.as_bytes());
            assert_eq!(found, expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_find_regular_files_in_any_segment() {
        let top = tempfile::tempdir().expect("a directory");
        for path in ["a/1.log", "a/2.log.gz", "b/3.log", "b/.4.log", "b/5.txt"] {
            let path = top.path().join(path);
            fs::create_dir_all(path.parent().expect("one")).expect("made");
            fs::write(path, "x").expect("written");
        }
        fs::create_dir(top.path().join("a/dir.log")).expect("made");
        let name = |path: &str| top.path().join(path);
        let expand = |pattern: &str| Pattern::new(&name(pattern).to_string_lossy()).expand(10);

        let all = expand("*/*.log");
        assert_eq!(all.files, [name("a/1.log"), name("b/3.log")]);
        assert_eq!(
            all.directories,
            [name(""), name("a"), name("b")]
                .map(|path| { PathBuf::from(path.to_string_lossy().trim_end_matches('/')) })
        );
        let plain = expand("a/1.log");
        assert_eq!(
            (plain.files, plain.directories),
            (vec![name("a/1.log")], vec![name("a")])
        );
        assert_eq!(expand("a/none.log").files, Vec::<PathBuf>::new());
        assert_eq!(expand("*/?.log").files.len(), 2);
    }
}
