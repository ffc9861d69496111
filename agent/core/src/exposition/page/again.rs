//! Lines of one point: a histogram with fifteen buckets writes its labels seventeen times.
//!
//! A line whose labels are written as those of the bucket before has the same labels, in the same
//! place of the arena; only its bound and its value are read. What differs in any way is read as
//! every other line is.

use std::borrow::Cow;

use memchr::memchr;

use super::{Builder, Place};
use crate::exposition::number::{self, Spelling};
use crate::exposition::{Role, Sample};
use crate::same;

/// The labels of a bucket or quantile that was read, as they are written and as they were read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared<'a> {
    /// What stands between the brace and the bound's label, which is the last, without its comma.
    pub(super) text: &'a str,
    pub(super) family: u32,
    pub(super) first_label: u32,
    pub(super) end_label: u32,
}

impl<'a> Builder<'a> {
    /// Adds the sample of a line with the labels of the bucket before; false when it is another
    /// line.
    pub(crate) fn again(&mut self, line: &'a str, place: Place) -> bool {
        self.take_again(line, place).is_some()
    }

    fn take_again(&mut self, line: &'a str, place: Place) -> Option<()> {
        let shared = self.shared?;
        let last = self
            .last
            .as_ref()
            .filter(|last| last.family == shared.family)?;
        let after = same::behind(line.as_bytes(), last.name.as_bytes());
        let (role, other, labels) = match after.and_then(|after| after.strip_prefix(b"{")) {
            Some(labels) => (last.role, None, labels),
            None => {
                let (name, labels) = line.split_at_checked(memchr(b'{', line.as_bytes())?)?;
                // As every sample is looked for in the family of the line before first.
                let (_, role) = self.role_in(shared.family, name)?;
                (role, Some(name), labels.as_bytes().get(1..)?)
            }
        };
        let rest = same::behind(labels, shared.text.as_bytes())?;
        let (bound, rest) = match role {
            Role::Bucket => self.bound(&shared, b"le=\"", rest)?,
            Role::Quantile => self.bound(&shared, b"quantile=\"", rest)?,
            Role::Count | Role::Sum => (0.0, rest),
            _ => return None,
        };
        let value = rest.strip_prefix(b"} ")?;
        let text = line.get(line.len() - value.len()..)?;
        let read = number::float(text, Spelling::Go)?;
        if let Some(name) = other {
            if name.len() > self.options.limits.name_bytes {
                return None;
            }
            self.place(Cow::Borrowed(name), Some((shared.family, role)))
                .ok()?;
        }
        self.push(Sample {
            family: shared.family,
            role,
            bound,
            value: read,
            time_unix_nano: None,
            line: place.line,
            line_at: place.at,
            value_at: place.value_at(Some(value.len())),
            first_label: shared.first_label,
            end_label: shared.end_label,
            exemplar: None,
        });
        Some(())
    }

    /// Takes the bound's label; returns the bound and what follows its quotes.
    fn bound<'l>(
        &self,
        shared: &Shared<'_>,
        label: &[u8],
        rest: &'l [u8],
    ) -> Option<(f64, &'l [u8])> {
        let rest = match shared.text.is_empty() {
            true => rest,
            false => rest.strip_prefix(b",")?,
        };
        let rest = rest.strip_prefix(label)?;
        let (bound, length) = match number::plain(rest) {
            Some((bound, length)) if rest.get(length) == Some(&b'"') => (bound, length),
            _ => {
                let length = memchr(b'"', rest)?;
                let text = std::str::from_utf8(rest.get(..length)?).ok()?;
                (number::float(text, Spelling::Go)?, length)
            }
        };
        let fits = length <= self.options.limits.value_bytes;
        fits.then_some((bound, rest.get(length + 1..)?))
    }
}
