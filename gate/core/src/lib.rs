//! Pure core of the gate: windows in, verdict out.
pub mod combine;
pub mod evalue;
pub mod kappa;
pub mod sketch;
pub mod cell;
pub mod normalize;
pub mod grid;
pub mod judge;
pub mod eta;
pub mod policy;
pub mod history;
pub mod attempt;
pub mod explain;
pub mod plan;
pub mod expect;
