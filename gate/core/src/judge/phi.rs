//! φ: how many times the binomial variance counts of events have, in blocks of cells.
//!
//! Tests that take events of one arm to be independent divide by it: what they have of clusters and
//! memory shows in the baseline. Source: docs/statistics.md, section 6.2.

use crate::kappa::Kappa;

/// Teaches `phi` a cell: (events, requests) of the baseline's pods by slot, none of those that sit
/// out, and of a judged cell the events of the canary's pods.
pub(super) fn learn(
    phi: &mut Kappa,
    baseline: &[Option<(u64, u64)>],
    canary: Option<impl ExactSizeIterator<Item = u64>>,
) {
    if phi.is_one_pod() {
        let canary = canary.filter(|pods| pods.len() > 0).map(|pods| {
            let count = pods.len() as f64;
            pods.map(|k| k as f64).sum::<f64>() / count
        });
        phi.learn(
            baseline.iter().map(|pod| pod.map(|(k, _)| k as f64)),
            canary,
        );
        return;
    }
    let pods = baseline.iter().flatten().count();
    if pods < 2 {
        return;
    }
    let sum = |of: fn(&(u64, u64)) -> u64| baseline.iter().flatten().map(|p| of(p) as f64).sum();
    let (events, requests): (f64, f64) = (sum(|pod| pod.0), sum(|pod| pod.1));
    let p = events / requests.max(1.0);
    let mut variance = 0.0;
    let residual = |pod: &Option<(u64, u64)>| {
        let (k, n) = (*pod)?;
        let (k, n) = (k as f64, n as f64);
        variance += n * p * (1.0 - p) * (1.0 - n / requests.max(1.0));
        Some(k - n * p)
    };
    let residuals: Vec<f64> = baseline
        .iter()
        .map(residual)
        .map(|x| x.unwrap_or(0.0))
        .collect();
    phi.add(&residuals, (pods - 1) as f64, 0.0, variance);
}
