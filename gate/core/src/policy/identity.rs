//! What makes two policies the same: a canonical text to hash.

use std::fmt::Write as _;

use super::{Absolute, Gate, Mode, Objective, OnAlert, OnDeadline, Policy};

impl Policy {
    /// The canonical form: all that matters for a verdict, with defaults written out, in a fixed
    /// order. Comments, layout and keys that repeat a default don't change it. The caller hashes
    /// it; a changed identity starts a new attempt.
    pub fn identity(&self) -> String {
        let mut text = String::from("davy policy 1\n");
        let assume = self
            .risk
            .assume
            .map_or("auto".to_owned(), |a| format!("{a:?}").to_lowercase());
        let mode = if self.mode == Mode::Enforce {
            "enforce"
        } else {
            "observe"
        };
        let alert = if self.on_alert == OnAlert::Hold {
            "hold"
        } else {
            "rollback"
        };
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "service {:?}",
            self.service.as_deref().unwrap_or_default()
        );
        let _ = writeln!(text, "mode {mode}");
        let (fr, fa) = (self.risk.false_rollback, self.risk.false_approval);
        let _ = writeln!(text, "risk {fr:?} {fa:?} {assume}");
        let timing = self.timing;
        for (name, length) in [
            ("warm_up", timing.warm_up),
            ("min_duration", timing.min_duration),
            ("max_duration", timing.max_duration),
            ("bake", timing.bake),
        ] {
            let _ = writeln!(text, "{name} {}", length.as_nanos());
        }
        let _ = match &self.on_deadline {
            OnDeadline::Pause => writeln!(text, "on_deadline pause"),
            OnDeadline::Rollback => writeln!(text, "on_deadline rollback"),
            OnDeadline::ApproveIfBelow(bounds) => writeln!(text, "on_deadline {bounds:?}"),
        };
        let _ = writeln!(text, "on_alert {alert}");
        self.objectives
            .iter()
            .for_each(|objective| write_objective(&mut text, objective));
        text
    }
}

fn write_objective(text: &mut String, objective: &Objective) {
    let Objective {
        name,
        indicator,
        gate,
        routes,
        ratio,
        absolute,
        ..
    } = objective;
    let gate = if *gate == Gate::Require {
        "require"
    } else {
        "veto"
    };
    let _ = write!(
        text,
        "objective {name:?} {} {gate} {routes:?}",
        indicator.as_str()
    );
    let (quantile, strict, negligible) =
        (objective.quantile, objective.strict, objective.negligible);
    let _ = write!(text, " {quantile:?} {strict} {negligible:?}");
    if let Some(r) = ratio {
        let _ = write!(text, " ratio {:?} {:?}", r.rollback_above, r.approve_below);
        let _ = write!(text, " {:?} {:?}", r.exceedance_above, r.exceedance_below);
    }
    for limit in absolute {
        let _ = match limit {
            Absolute::MaxSeconds(max) => write!(text, " max {max:?}"),
            Absolute::MinSuccess(min) => write!(text, " min_success {min:?}"),
            Absolute::MaxUtilization(max) => write!(text, " max_utilization {max:?}"),
            Absolute::MaxPerPod(max) => write!(text, " max_per_pod {max}"),
        };
    }
    text.push('\n');
}
