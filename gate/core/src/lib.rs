//! Pure core of the gate: windows in, verdict out.
//!
//! In the order of the data: [`normalize`] makes windows of OTLP, [`grid`] folds them into cells,
//! [`history`] keeps the recent ones, [`attempt`] feeds them to the [`judge`], whose evidence is
//! made of [`evalue`]s over [`sketch`]es, corrected by [`kappa`] and joined by [`combine`].
//! [`policy`] says what must be proved, [`explain`] why it was or wasn't, [`plan`] what is to be
//! done; [`eta`] and [`expect`] say how long it takes.

pub mod attempt;
pub mod cell;
pub mod combine;
mod elementary;
pub mod eta;
pub mod evalue;
pub mod expect;
pub mod explain;
pub mod grid;
pub mod history;
pub mod judge;
pub mod kappa;
pub mod normalize;
pub mod plan;
pub mod policy;
pub mod sketch;
