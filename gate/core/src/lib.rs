//! Pure core of the gate: windows in, verdict out.
