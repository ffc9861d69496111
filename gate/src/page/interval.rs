//! A ratio with its interval between the two limits, as a small picture.

use std::fmt::Write as _;

use davy_proto::verdict::Objective;

/// The picture's ratio axis is logarithmic between these.
const RATIO_MIN: f64 = 0.5;
const RATIO_MAX: f64 = 4.0;
const WIDTH: f64 = 240.0;

/// An SVG of the objective's interval and limits; empty where there is no ratio to show. A side
/// that has no bound yet runs to the edge; a ratio beyond the axis is an arrow.
pub(super) fn svg(objective: &Objective) -> String {
    let (Some(ratio), Some(rollback), Some(approve)) = (
        objective.ratio,
        objective.rollback_above,
        objective.approve_below,
    ) else {
        return String::new();
    };
    let (low, high) = (objective.low, objective.high);
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} 24\" role=img aria-label=\"{}\">",
        label(ratio, low, high)
    );
    let _ = write!(out, "<line class=axis x1=0 x2={WIDTH} y1=12 y2=12 />");
    for (class, at) in [("one", 1.0), ("rollback", rollback), ("approve", approve)] {
        let x = x(at);
        let _ = write!(out, "<line class={class} x1={x:.1} x2={x:.1} y1=2 y2=22 />");
    }
    if low.is_some() || high.is_some() {
        let (from, to) = (low.map_or(0.0, x), high.map_or(WIDTH, x));
        let _ = write!(
            out,
            "<line class=interval x1={from:.1} x2={to:.1} y1=12 y2=12 />"
        );
    }
    let at = x(ratio);
    let _ = if ratio > RATIO_MAX {
        write!(out, "<path d=\"M{at:.1} 6l6 6l-6 6z\" /></svg>")
    } else {
        write!(out, "<circle cx={at:.1} cy=12 r=4 /></svg>")
    };
    out
}

fn label(ratio: f64, low: Option<f64>, high: Option<f64>) -> String {
    let mut label = format!("ratio {ratio:.2}");
    for (bound, word) in [(low, "at least"), (high, "at most")] {
        if let Some(bound) = bound {
            let _ = write!(label, ", {word} {bound:.2}");
        }
    }
    label
}

fn x(ratio: f64) -> f64 {
    let span = (RATIO_MAX / RATIO_MIN).ln();
    let at = (ratio.clamp(RATIO_MIN, RATIO_MAX) / RATIO_MIN).ln() / span;
    4.0 + at * (WIDTH - 8.0)
}
