//! Whose pod is it? The e-value of a labelling of pods given their scores.
//!
//! E = ∏ over canary pods of e^u / mean over all choices S of as many pods of ∏ over S of e^u.
//! The mean is an elementary symmetric polynomial over a binomial coefficient.
//!
//! Source: statistics.md section 2 (1); Koning, arXiv 2310.01153; the conditional likelihood ratio
//! of Cox, anytime-valid by ter Schure et al., arXiv 2011.06931.
//! Assumption: given the past, scores are exchangeable over pods, or the canary's are so after
//! being raised. Nothing about distribution or dependence within the cell.
//! Reference: `tests/reference/rollouts.json`, section `perm_log_e`.

/// ln E of the scores of both arms, tilt included; 0 where an arm has no pod. `scratch` is reused
/// between calls.
///
/// One cell is worth at most ln C(P, P_c).
///
/// # Complexity
/// O(P · P_c) of P pods, P_c of them the canary's.
pub fn log_e(baseline: &[f64], canary: &[f64], scratch: &mut Vec<f64>) -> f64 {
    if baseline.is_empty() || canary.is_empty() {
        return 0.0;
    }
    let both = || baseline.iter().chain(canary);
    let highest = both().copied().fold(f64::NEG_INFINITY, f64::max);
    scratch.clear();
    scratch.resize(canary.len() + 1, 0.0);
    let polynomials = scratch.as_mut_slice();
    polynomials[0] = 1.0;
    for score in both() {
        let x = libm::exp(score - highest);
        for i in (1..polynomials.len()).rev() {
            polynomials[i] += polynomials[i - 1] * x;
        }
    }
    let chosen: f64 = canary.iter().map(|score| score - highest).sum();
    let all = polynomials[canary.len()].max(super::SMALLEST);
    chosen - libm::log(all) + log_choose(baseline.len() + canary.len(), canary.len())
}

/// ln C(n, k) of k in [0, n].
pub fn log_choose(n: usize, k: usize) -> f64 {
    let k = k.min(n.saturating_sub(k));
    let choose: f64 = (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product();
    libm::log(choose)
}
