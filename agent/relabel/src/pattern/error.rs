//! Why an expression is refused.

use thiserror::Error;

/// Why a text is not an expression that can be matched.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternError {
    /// `[[:foo:]]`.
    #[error("has no such class: `{0}`")]
    Class(String),
    /// `\Z`.
    #[error("has no such escape: `{0}`")]
    Escape(String),
    /// `(?=`.
    #[error("has no such group: `{0}`")]
    Group(String),
    /// A letter whose other cases are not known.
    #[error("has a letter beyond ASCII under `(?i)`, which is not known here; list both: `{0}`")]
    Letter(char),
    /// A group's name that is none.
    #[error("has a group of no such name: `{0}`")]
    Name(String),
    /// Groups within groups within groups.
    #[error("has groups too deep in each other")]
    Nested,
    /// `*` at the start.
    #[error("repeats nothing: `{0}`")]
    Nothing(String),
    /// `[b-a]`.
    #[error("has a range that ends before it begins: `{0}`")]
    Range(String),
    /// `a**`.
    #[error("repeats a repetition: `{0}`")]
    Repetition(String),
    /// `a{1001}`, or a large number within another.
    #[error("repeats more than 1000 times: `{0}`")]
    Repeated(String),
    /// It would take too much memory.
    #[error("is too large")]
    TooLarge,
    /// `[a`.
    #[error("has a bracket that is not closed")]
    UnclosedBracket,
    /// `(a`.
    #[error("has a parenthesis that is not closed")]
    UnclosedGroup,
    /// `\Qa`.
    #[error("has `\\Q` without `\\E`")]
    UnclosedQuote,
    /// `\pL`.
    #[error("has a Unicode class, which is not known here; list the ranges: `{0}`")]
    Unicode(String),
    /// `a)`.
    #[error("closes a parenthesis that it has not opened")]
    Unopened,
}
