//! A ratio with its interval between the two limits, as a small picture.

use std::fmt::Write as _;

use davy_proto::verdict::Objective;

/// The picture's ratio axis is logarithmic between these.
const RATIO_MIN: f64 = 0.5;
const RATIO_MAX: f64 = 4.0;
const WIDTH: f64 = 240.0;

/// An SVG of the objective's interval and limits; empty where there is no ratio to show.
pub(super) fn svg(objective: &Objective) -> String {
    let (Some(ratio), Some(rollback), Some(approve)) = (
        objective.ratio,
        objective.rollback_above,
        objective.approve_below,
    ) else {
        return String::new();
    };
    let low = objective.low.unwrap_or(RATIO_MIN);
    let high = objective.high.unwrap_or(RATIO_MAX);
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} 24\" role=img aria-label=\"ratio {ratio:.2}, between \
         {low:.2} and {high:.2}\">"
    );
    let _ = write!(out, "<line class=axis x1=0 x2={WIDTH} y1=12 y2=12 />");
    for (class, at) in [("one", 1.0), ("rollback", rollback), ("approve", approve)] {
        let x = x(at);
        let _ = write!(out, "<line class={class} x1={x:.1} x2={x:.1} y1=2 y2=22 />");
    }
    let (from, to) = (x(low), x(high));
    let _ = write!(
        out,
        "<line class=interval x1={from:.1} x2={to:.1} y1=12 y2=12 />"
    );
    let _ = write!(out, "<circle cx={:.1} cy=12 r=4 /></svg>", x(ratio));
    out
}

fn x(ratio: f64) -> f64 {
    let span = (RATIO_MAX / RATIO_MIN).ln();
    let at = (ratio.clamp(RATIO_MIN, RATIO_MAX) / RATIO_MIN).ln() / span;
    4.0 + at * (WIDTH - 8.0)
}
