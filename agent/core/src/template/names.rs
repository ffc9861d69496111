//! Whether the parts of a page can be read apart from each other.

use crate::exposition::{Format, Kind};

use super::segment::Segment;

/// Endings that can lead from a sample's name to another family's.
const SUFFIXES: [&str; 8] = [
    "_bucket", "_count", "_created", "_gcount", "_gsum", "_info", "_sum", "_total",
];

/// Returns whether a name is of two parts, or a family of one part could take samples of another:
/// a histogram `foo` those of a family `foo_count`.
pub(super) fn clash<'s>(segments: impl Iterator<Item = &'s Segment>, format: Format) -> bool {
    let mut names: Vec<(&str, usize, Kind)> = Vec::new();
    for (index, segment) in segments.enumerate() {
        let families = segment.families.iter();
        names.extend(families.map(|family| (&*family.name, index, family.kind)));
    }
    names.sort_unstable();
    let is_twice =
        |pair: &[(&str, usize, Kind)]| matches!(pair, [a, b] if a.0 == b.0 && a.1 != b.1);
    let takes = |stem: &str, suffix: &str| {
        let from = names.partition_point(|(name, ..)| *name < stem);
        let named = names
            .iter()
            .skip(from)
            .take_while(|(name, ..)| *name == stem);
        let mut kinds = named.map(|(.., kind)| kind);
        kinds.any(|kind| kind.role(suffix, format).is_some())
    };
    names.windows(2).any(is_twice)
        || names.iter().any(|(name, ..)| {
            let stems = SUFFIXES.iter().filter_map(|suffix| {
                let stem = name.strip_suffix(suffix)?;
                Some((stem, *suffix))
            });
            stems.into_iter().any(|(stem, suffix)| takes(stem, suffix))
        })
}
