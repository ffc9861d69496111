//! One rollout: the judge and every comparator over the same cells, for half an hour.

use davy_gate_core::cell::Cell;
use davy_gate_core::judge::{Judge, Verdict};

use crate::comparator::{AllLimits, Comparator, Method, Observed};
use crate::scenario::{Right, Scenario};
use crate::traffic::Source;

/// Cells of half an hour, from the canary's first warm one on.
pub const CELLS_MAX: u64 = 360;
/// Keeps the judge's seed apart from the traffic's.
const JUDGE_SEED: u64 = 0x6A75_6467;

/// What a method said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The final verdict.
    pub verdict: Verdict,
    /// Cells from the canary's first warm one to the verdict; all there were when undecided.
    pub cells: u64,
    /// Whether the objective at whose safety edge the canary stands was proved safe all the same;
    /// of the judge alone.
    pub proved_at_edge: bool,
}

/// A scenario ready to run.
#[derive(Clone, Debug)]
pub struct Runner {
    scenario: &'static Scenario,
    source: Source,
}

impl Runner {
    /// Prepares a scenario.
    pub fn new(scenario: &'static Scenario) -> Self {
        Self {
            scenario,
            source: Source::new(&scenario.traffic),
        }
    }

    /// Runs the rollout `run` under `seed`: what each of [`Method::ALL`] says, in that order.
    ///
    /// A run is a pure function of scenario, seed and number.
    pub fn run(&self, seed: u64, run: u64) -> Vec<Outcome> {
        let config = self.scenario.judge(seed ^ run ^ JUDGE_SEED);
        let limits = AllLimits::of(&config);
        let mut stream = self.source.stream(seed, run);
        let mut judge = Judge::new(config);
        for _ in 0..self.scenario.traffic.history {
            judge.history(&stream.next_cell());
        }
        let mut davy = Davy::new(judge, self.scenario);
        let mut others: Vec<Other> = Method::ALL
            .iter()
            .filter_map(|method| method.comparator(limits?))
            .map(Other::new)
            .collect();
        let mut elapsed = 0;
        while elapsed < CELLS_MAX && !(davy.is_done() && others.iter().all(Other::is_done)) {
            let cell = stream.next_cell();
            let warm = cell.canary.iter().any(|pod| pod.warm);
            elapsed += u64::from(warm || elapsed > 0);
            davy.step(&cell, elapsed);
            if let Some(observed) = Observed::of(&cell) {
                for other in &mut others {
                    other.step(&observed, elapsed);
                }
            }
        }
        let ends = others.iter().map(Other::outcome);
        std::iter::once(davy.outcome()).chain(ends).collect()
    }
}

/// The judge, and what it said.
struct Davy {
    judge: Judge,
    right: Right,
    bake: u64,
    cells: u64,
    decided: Option<(Verdict, u64)>,
    proved_at_edge: bool,
}

impl Davy {
    fn new(judge: Judge, scenario: &Scenario) -> Self {
        Self {
            judge,
            right: scenario.right,
            bake: scenario.bake,
            cells: 0,
            decided: None,
            proved_at_edge: false,
        }
    }

    /// At a safety edge the safety test runs on to the end: a rollback would hide what it does. An
    /// approval is done when it is baked.
    fn is_done(&self) -> bool {
        let done = self.decided.is_some_and(|(verdict, at)| {
            verdict == Verdict::Rollback || self.cells >= at + self.bake
        });
        done && !matches!(self.right, Right::SafetyEdge(_))
    }

    fn step(&mut self, cell: &Cell, elapsed: u64) {
        if self.is_done() {
            return;
        }
        self.cells = elapsed;
        let said = self.judge.step(cell);
        if let Right::SafetyEdge(edge) = self.right {
            let mut each = said.objectives.iter();
            self.proved_at_edge |= each.any(|o| o.objective == edge && o.safe_proved);
        }
        let decides = match self.decided {
            None => said.verdict != Verdict::Undecided,
            Some((verdict, _)) => self.bake > 0 && verdict != said.verdict,
        };
        if decides && (self.decided.is_none() || said.verdict == Verdict::Rollback) {
            self.decided = Some((said.verdict, self.cells));
        }
    }

    fn outcome(&self) -> Outcome {
        let (verdict, cells) = self.decided.unwrap_or((Verdict::Undecided, self.cells));
        Outcome {
            verdict,
            cells,
            proved_at_edge: self.proved_at_edge,
        }
    }
}

/// A comparator, and what it said.
struct Other {
    comparator: Box<dyn Comparator>,
    cells: u64,
    decided: Option<Verdict>,
}

impl Other {
    fn new(comparator: Box<dyn Comparator>) -> Self {
        Self {
            comparator,
            cells: 0,
            decided: None,
        }
    }

    fn is_done(&self) -> bool {
        self.decided.is_some()
    }

    fn step(&mut self, cell: &Observed, elapsed: u64) {
        if self.is_done() {
            return;
        }
        self.cells = elapsed;
        let verdict = self.comparator.step(cell);
        self.decided = (verdict != Verdict::Undecided).then_some(verdict);
    }

    fn outcome(&self) -> Outcome {
        Outcome {
            verdict: self.decided.unwrap_or_else(|| self.comparator.end()),
            cells: self.cells,
            proved_at_edge: false,
        }
    }
}

#[cfg(test)]
mod tests;
