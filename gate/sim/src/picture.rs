//! The picture: false rollbacks against time to a verdict, a point for each method and scenario.
//!
//! Down and to the left is better. A full point is a scenario in which a rollback is wrong: its
//! share of rollbacks, and the median seconds to any verdict. A ring is a bad canary that was
//! caught in half of the rollouts or more: the median seconds, at the method's share of false
//! rollbacks in all of the former together. Both axes are stretched where it matters: time is
//! logarithmic, the share goes by its square root. 400 units wide, text of 11 and more: readable on
//! a phone.

use std::fmt::Write as _;

use crate::comparator::Method;
use crate::report::Report;
use crate::tally::Tally;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 560.0;
/// Left, right, top and bottom of the plot.
const PLOT: (f64, f64, f64, f64) = (46.0, 388.0, 44.0, 372.0);
/// First and last second of the time axis.
const SECONDS: (f64, f64) = (10.0, 1_800.0);
/// Ticks of the time axis: seconds, and how they are written.
const TIMES: [(f64, &str); 6] = [
    (10.0, "10 s"),
    (30.0, "30 s"),
    (60.0, "1 min"),
    (180.0, "3 min"),
    (600.0, "10 min"),
    (1_800.0, "30 min"),
];
/// Ticks of the share axis, in percent.
const SHARES: [f64; 6] = [0.0, 1.0, 5.0, 20.0, 50.0, 100.0];
/// Colors told apart by the color-blind (Okabe and Ito 2008), in the order of [`Method::ALL`].
const COLORS: [&str; 7] = [
    "#009E73", "#D55E00", "#E69F00", "#CC79A7", "#0072B2", "#56B4E9", "#666666",
];

/// Draws a report as SVG.
pub fn svg(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"#222\">\n\
         <title>False rollbacks against time to a verdict</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{}\" y=\"18\" font-size=\"14\" font-weight=\"bold\">False rollbacks and time \
         to a verdict</text>\n\
         <text x=\"{}\" y=\"34\">share of rollouts wrongly rolled back</text>",
        PLOT.0 - 36.0,
        PLOT.0 - 36.0,
    );
    axes(&mut out);
    for (index, method) in Method::ALL.iter().enumerate().rev() {
        points(&mut out, report, index, *method);
    }
    legend(&mut out, report);
    out.push_str("</svg>\n");
    out
}

fn x_of(seconds: f64) -> f64 {
    let at = libm::log(seconds.clamp(SECONDS.0, SECONDS.1) / SECONDS.0);
    PLOT.0 + at / libm::log(SECONDS.1 / SECONDS.0) * (PLOT.1 - PLOT.0)
}

fn y_of(share: f64) -> f64 {
    PLOT.3 - share.clamp(0.0, 1.0).sqrt() * (PLOT.3 - PLOT.2)
}

fn axes(out: &mut String) {
    for percent in SHARES {
        let y = y_of(percent / 100.0);
        let _ = writeln!(
            out,
            "<path d=\"M{} {y:.1}H{}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{percent} %</text>",
            PLOT.0,
            PLOT.1,
            PLOT.0 - 4.0,
            y + 4.0
        );
    }
    for (seconds, label) in TIMES {
        let x = x_of(seconds);
        let anchor = if seconds == SECONDS.1 {
            "end"
        } else {
            "middle"
        };
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} {}V{}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{label}</text>",
            PLOT.2,
            PLOT.3,
            PLOT.3 + 15.0
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">median time to a verdict</text>",
        PLOT.1,
        PLOT.3 + 31.0
    );
}

/// The points and rings of one method.
fn points(out: &mut String, report: &Report, index: usize, method: Method) {
    let color = COLORS.get(index).copied().unwrap_or("#000");
    let false_rollbacks = pooled(report, index);
    for scenario in &report.scenarios {
        let Some(tally) = scenario.methods.get(index) else {
            continue;
        };
        let Some(seconds) = tally.median_seconds else {
            continue;
        };
        let full = scenario.forbids_rollback();
        let share = if full {
            tally.wrong.share
        } else if scenario.right == "bad" && tally.right.share >= 0.5 {
            false_rollbacks
        } else {
            continue;
        };
        let fill = if full { color } else { "none" };
        let (x, y) = (x_of(seconds as f64), y_of(share));
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{fill}\" fill-opacity=\"0.6\" \
             stroke=\"{color}\" stroke-width=\"1.5\"><title>{}, {}: {}</title></circle>",
            method.as_str(),
            scenario.scenario,
            words(tally)
        );
    }
}

fn words(tally: &Tally) -> String {
    format!(
        "{} of {} wrong, {} undecided, median {} s",
        tally.wrong.runs,
        tally.runs,
        tally.undecided.runs,
        tally.median_seconds.unwrap_or(0)
    )
}

/// The share of false rollbacks of a method in all scenarios where a rollback is wrong.
fn pooled(report: &Report, index: usize) -> f64 {
    let tallies = report.scenarios.iter().filter(|s| s.forbids_rollback());
    let (wrong, runs) = tallies
        .filter_map(|s| s.methods.get(index))
        .fold((0, 0), |(wrong, runs), t| {
            (wrong + t.wrong.runs, runs + t.runs)
        });
    if runs == 0 {
        0.0
    } else {
        wrong as f64 / runs as f64
    }
}

fn legend(out: &mut String, report: &Report) {
    let top = PLOT.3 + 52.0;
    for (index, method) in Method::ALL.iter().enumerate() {
        let (x, y) = (
            if index % 2 == 0 { 16.0 } else { 206.0 },
            top + 20.0 * (index / 2) as f64,
        );
        let color = COLORS.get(index).copied().unwrap_or("#000");
        let weight = if index == 0 { "bold" } else { "normal" };
        let _ = writeln!(
            out,
            "<circle cx=\"{x}\" cy=\"{}\" r=\"5\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"{y}\" font-weight=\"{weight}\">{}</text>",
            y - 4.0,
            x + 11.0,
            method.as_str()
        );
    }
    let notes = [
        "● canary no worse than allowed    ○ bad canary, caught by half".to_owned(),
        format!(
            "{} scenarios, {} rollouts each, seed {}",
            report.scenarios.len(),
            report.runs,
            report.seed
        ),
    ];
    for (i, note) in (0u8..).zip(notes) {
        let y = top + 86.0 + 18.0 * f64::from(i);
        let _ = writeln!(out, "<text x=\"10\" y=\"{y}\" fill=\"#555\">{note}</text>");
    }
}

#[cfg(test)]
mod tests;
