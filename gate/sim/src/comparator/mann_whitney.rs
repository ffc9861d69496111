//! Mann and Whitney's test as Kayenta's judge uses it: every minute, on all points so far.
//!
//! A metric's points are the values of an arm in each cell: P99, error rate, CPU a request. It is
//! *High* when the lower end of the 98 % interval of the Hodges-Lehmann difference is above 0.25
//! times its estimate, and the ratio of means is at least the allowed increase, for which the
//! limit of the policy is taken. One High of three metrics of equal weight is a score of 67, below
//! the usual marginal of 75: roll back. Whoever is still there at the end is approved.
//!
//! Source: Spinnaker Kayenta, `NetflixACAJudge` (tolerance 0.25, confidence 0.98),
//! `MannWhitneyClassifier` and `MannWhitney.wilcoxonDiff`, which follows R's `wilcox.test`
//! (asymptotic, with continuity correction, interval by root finding). The root here is found by
//! bisection where Kayenta uses Brent's method with a tolerance of 1e-4.

use davy_gate_core::judge::Verdict;

use super::{AllLimits, Arm, Comparator, MINUTE, Observed, Z99};

/// Share of the estimate by which the interval must clear 0.
const TOLERANCE: f64 = 0.25;
/// Halvings of the bracket: below a millionth of a millionth of it.
const HALVINGS: u32 = 48;

/// The comparator.
#[derive(Clone, Debug)]
pub struct MannWhitney {
    metrics: [Metric; 3],
    cells: u64,
}

/// The points of one metric, sorted.
#[derive(Clone, Debug)]
struct Metric {
    of: fn(&Arm) -> Option<f64>,
    allowed: f64,
    baseline: Vec<f64>,
    canary: Vec<f64>,
}

/// The Hodges-Lehmann difference of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Difference {
    /// Lower end of its 98 % interval.
    pub(super) low: f64,
    /// The estimate.
    pub(super) estimate: f64,
}

/// Adds a point to sorted ones.
fn insert(points: &mut Vec<f64>, point: Option<f64>) {
    if let Some(point) = point {
        let at = points.partition_point(|other| other.total_cmp(&point).is_lt());
        points.insert(at, point);
    }
}

/// The difference of `x` from `y`, both sorted; none of no points.
pub(super) fn difference(x: &[f64], y: &[f64]) -> Option<Difference> {
    let least = x.first()? - y.last()?;
    let most = x.last()? - y.first()?;
    if least == most {
        // Both constant: Kayenta adds noise of 1e-5, and finds the difference within that.
        return Some(Difference {
            low: least,
            estimate: least,
        });
    }
    let root = |quantile: f64| -> Option<f64> {
        let (mut low, mut high) = (least, most);
        if z_at(x, y, low)? <= quantile {
            return Some(low);
        }
        if z_at(x, y, high)? >= quantile {
            return Some(high);
        }
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if z_at(x, y, middle)? > quantile {
                low = middle;
            } else {
                high = middle;
            }
        }
        // The lower side: where many points are tied z jumps, here at 0, and a root a rounding
        // above the jump would be a difference that is none.
        Some(low)
    };
    Some(Difference {
        low: root(Z99)?,
        estimate: root(0.0)?,
    })
}

/// z of Mann and Whitney's U when `shift` is taken off every `x`, with continuity correction and
/// correction for ties; both sorted. None when all are tied.
pub(super) fn z_at(x: &[f64], y: &[f64], shift: f64) -> Option<f64> {
    let (n, m) = (x.len() as f64, y.len() as f64);
    let (mut i, mut j) = (0, 0);
    let (mut u, mut ties) = (0.0, 0.0);
    // Groups of equal values, in order; each x counts the y below it, and half of those beside it.
    while i < x.len() || j < y.len() {
        let of_x = x.get(i).map(|x| x - shift);
        let value = match (of_x, y.get(j)) {
            (Some(x), Some(&y)) => x.min(y),
            (Some(x), None) => x,
            (None, Some(&y)) => y,
            (None, None) => break,
        };
        let (below, first) = (j as f64, i);
        while x.get(i).is_some_and(|x| x - shift == value) {
            i += 1;
        }
        while y.get(j) == Some(&value) {
            j += 1;
        }
        let (of_x, of_y) = ((i - first) as f64, j as f64 - below);
        let size = of_x + of_y;
        u += of_x * (below + 0.5 * of_y);
        ties += size * size * size - size;
    }
    let off = u - n * m / 2.0;
    let correction = if off == 0.0 { 0.0 } else { 0.5 * off.signum() };
    let variance = n * m / 12.0 * ((n + m + 1.0) - ties / ((n + m) * (n + m - 1.0)));
    (variance > 0.0).then(|| (off - correction) / variance.sqrt())
}

impl MannWhitney {
    /// A test without points.
    pub fn new(limits: AllLimits) -> Self {
        let metric = |of, allowed| Metric {
            of,
            allowed,
            baseline: Vec::new(),
            canary: Vec::new(),
        };
        Self {
            metrics: [
                metric(Arm::p99, limits.latency.above),
                metric(Arm::error_rate, limits.errors.above),
                metric(Arm::cpu, limits.cpu.above),
            ],
            cells: 0,
        }
    }
}

impl Metric {
    fn is_high(&self) -> bool {
        let mean = |points: &[f64]| points.iter().sum::<f64>() / points.len() as f64;
        let (canary, baseline) = (mean(&self.canary), mean(&self.baseline));
        // What Kayenta checks last is cheapest: most canaries that are no worse end here.
        if baseline == 0.0 || canary / baseline < self.allowed {
            return false;
        }
        if self.may_be_zero() {
            return false;
        }
        difference(&self.canary, &self.baseline)
            .is_some_and(|found| found.low > TOLERANCE * found.estimate.abs())
    }

    /// Whether the interval's lower end can't be above 0: z falls as the shift rises, so one look
    /// at 0 tells it. Where all of the canary's points are above all others the end is a point.
    fn may_be_zero(&self) -> bool {
        let (x, y) = (&self.canary, &self.baseline);
        let overlap = x.first().zip(y.last()).is_some_and(|(x, y)| x <= y);
        overlap && z_at(x, y, 0.0).is_some_and(|z| z <= Z99)
    }
}

impl Comparator for MannWhitney {
    fn step(&mut self, cell: &Observed) -> Verdict {
        self.cells += 1;
        for metric in &mut self.metrics {
            insert(&mut metric.baseline, (metric.of)(&cell.baseline));
            insert(&mut metric.canary, (metric.of)(&cell.canary));
        }
        let due = self.cells.is_multiple_of(MINUTE);
        if due && self.metrics.iter().any(Metric::is_high) {
            return Verdict::Rollback;
        }
        Verdict::Undecided
    }

    fn end(&self) -> Verdict {
        Verdict::Approve
    }
}
