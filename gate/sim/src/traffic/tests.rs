//! Whether traffic is what it says: rates, shares, quantiles and noise against their moments.

use davy_gate_core::cell::{Cell, PodCell, RouteCell};
use davy_gate_core::sketch::Sketch;

use super::*;
use crate::comparator::{Histogram, Observed};

/// The cells of a rollout after its history.
fn cells(traffic: Traffic, seed: u64, n: usize) -> Vec<Cell> {
    let mut stream = Source::new(&traffic).stream(seed, 0);
    (0..traffic.history).for_each(|_| drop(stream.next_cell()));
    (0..n).map(|_| stream.next_cell()).collect()
}

fn routes(pods: &[PodCell]) -> impl Iterator<Item = &RouteCell> {
    pods.iter().flat_map(|pod| pod.routes.values())
}

/// Requests, errors and latency of one arm over all cells.
fn totals<'a>(pods: impl Iterator<Item = &'a Vec<PodCell>>) -> (f64, f64, Histogram) {
    let mut latency = Histogram::default();
    let (mut requests, mut errors) = (0, 0);
    for route in pods.flat_map(|pods| routes(pods)) {
        requests += route.requests;
        errors += route.errors;
        latency.add(&route.latency);
    }
    (requests as f64, errors as f64, latency)
}

/// Fails when `found` is further than `width` times `expected` from it.
#[track_caller]
fn near(found: f64, expected: f64, width: f64) {
    let off = (found / expected - 1.0).abs();
    assert!(off < width, "{found} for {expected}: off by {off}");
}

/// 1,000 cells of 160 and 40 requests a second: counts within five standard errors, P99 within
/// half a bucket and its noise.
#[test]
fn a_quiet_service_is_as_described() {
    let all = cells(QUIET, 1, 1_000);
    let (requests, errors, latency) = totals(all.iter().map(|cell| &cell.baseline));
    near(requests, 800_000.0, 5.0 / 800_000f64.sqrt());
    near(errors, 960.0, 5.0 / 960f64.sqrt());
    assert_eq!(latency.total() as f64, requests - errors);
    near(latency.quantile_above(0.01).expect("requests"), 0.230, 0.02);
    near(latency.quantile_above(0.5).expect("requests"), 0.0451, 0.01);
    let (requests, errors, latency) = totals(all.iter().map(|cell| &cell.canary));
    near(requests, 200_000.0, 5.0 / 200_000f64.sqrt());
    near(errors, 240.0, 5.0 / 240f64.sqrt());
    near(latency.quantile_above(0.01).expect("requests"), 0.230, 0.03);
}

/// Counts of a cell are Poisson: their variance is their mean.
#[test]
fn arrivals_are_poisson() {
    let counts: Vec<f64> = cells(QUIET, 2, 4_000)
        .iter()
        .map(|cell| routes(&cell.canary).map(|r| r.requests as f64).sum())
        .collect();
    let n = counts.len() as f64;
    let mean = counts.iter().sum::<f64>() / n;
    let variance = counts.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    near(mean, 200.0, 5.0 / (200.0 * n).sqrt());
    near(variance, 200.0, 5.0 * (2.0 / n).sqrt());
}

/// ln CPU a request is AR(1) by the second; the mean of five seconds at ρ 0.9 and 5 % has the
/// variance 0.0025 × (5 + 8 × 0.9 + 6 × 0.81 + 4 × 0.729 + 2 × 0.6561) / 25, and neighboring
/// cells correlate by ρ (1 + ρ + … + ρ⁴)² over the same sum.
#[test]
fn cpu_has_its_noise_and_memory() {
    let noise: Vec<f64> = cells(QUIET, 3, 40_000)
        .iter()
        .filter_map(|cell| {
            let pod = cell.canary.first()?;
            let requests = routes(&cell.canary).map(|r| r.requests).sum::<u64>() as f64;
            Some(libm::log(pod.cpu_seconds? / requests / 0.004))
        })
        .collect();
    let n = noise.len() as f64;
    let mean = noise.iter().sum::<f64>() / n;
    let product = |lag: usize| {
        let pairs = noise.iter().zip(noise.iter().skip(lag));
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n
    };
    let sum = 5.0 + 8.0 * 0.9 + 6.0 * 0.81 + 4.0 * 0.729 + 2.0 * 0.6561;
    assert!(mean.abs() < 0.003, "{mean}");
    near(product(0), 0.0025 * sum / 25.0, 0.05);
    let geometric = 1.0 + 0.9 + 0.81 + 0.729 + 0.6561;
    near(
        product(1) / product(0),
        0.9 * geometric * geometric / sum,
        0.05,
    );
}

/// What the canary does differently is seen in it, and only in it.
#[test]
fn changes_are_the_canarys_alone() {
    let change = Change {
        latency: 1.5,
        errors: 10.0,
        cpu: 1.2,
        ..SAME
    };
    let mut sum = None;
    for cell in cells(QUIET.canary(change), 4, 1_000) {
        let seen = Observed::of(&cell).expect("requests");
        let (baseline, canary) =
            sum.get_or_insert_with(|| (seen.baseline.clone(), seen.canary.clone()));
        baseline.merge(&seen.baseline);
        canary.merge(&seen.canary);
    }
    let (baseline, canary) = sum.expect("cells");
    let ratio = |of: &dyn Fn(&crate::comparator::Arm) -> Option<f64>| {
        of(&canary).expect("canary") / of(&baseline).expect("baseline")
    };
    near(ratio(&|arm| arm.p99()), 1.5, 0.03);
    near(ratio(&|arm| arm.error_rate()), 10.0, 0.2);
    near(ratio(&|arm| arm.cpu()), 1.2, 0.01);
    near(baseline.p99().expect("baseline"), 0.230, 0.02);
}

/// A factor moves latency by exactly so many buckets, whatever the sketch: a doubling at scale 5
/// by 32 of them, from the same draws.
#[test]
fn a_doubling_moves_every_request_by_an_octave() {
    let sketch = |latency: f64| {
        let change = Change { latency, ..SAME };
        let cell = cells(QUIET.canary(change), 5, 1).remove(0);
        let route = cell.canary[0]
            .routes
            .values()
            .next()
            .cloned()
            .expect("a route");
        match route.latency {
            Sketch::Exponential(sketch) => sketch,
            other => panic!("{other:?}"),
        }
    };
    let (once, twice) = (sketch(1.0), sketch(2.0));
    assert_eq!(twice.offset(), once.offset() + 32);
    assert_eq!(twice.counts(), once.counts());
}

#[test]
fn classic_buckets_hold_the_same_requests() {
    let classic = Traffic {
        buckets: Buckets::Classic,
        ..QUIET
    };
    let (fine, coarse) = (cells(QUIET, 6, 200), cells(classic, 6, 200));
    let of = |cells: &[Cell]| totals(cells.iter().map(|cell| &cell.baseline)).2;
    let (fine, coarse) = (of(&fine), of(&coarse));
    assert!(coarse.is_explicit());
    assert_eq!(fine.total(), coarse.total());
    // The ninth bound is 0.23 s, the P99.
    near(coarse.above(8) as f64, 0.01 * coarse.total() as f64, 0.05);
}

#[test]
fn lost_windows_are_lost_and_half_ones_cover_half() {
    let own = Own {
        lost: 0.1,
        ..QUIET.own
    };
    let all = cells(Traffic { own, ..QUIET }, 7, 2_000);
    let seen: Vec<&PodCell> = all.iter().flat_map(|cell| &cell.baseline).collect();
    near(seen.len() as f64, 7_200.0, 0.03);
    let half: Vec<_> = seen.iter().filter(|pod| pod.coverage == 0.5).collect();
    near(half.len() as f64, 800.0, 0.2);
    let requests = half.iter().flat_map(|pod| pod.routes.values());
    let mean = requests.map(|r| r.requests as f64).sum::<f64>() / half.len() as f64;
    near(mean, 100.0, 0.03);
}

#[test]
fn a_cold_canary_is_warm_after_half_a_minute() {
    let change = Change { cold: true, ..SAME };
    let warm: Vec<bool> = cells(QUIET.canary(change), 8, 8)
        .iter()
        .map(|cell| cell.canary[0].warm)
        .collect();
    assert_eq!(warm, [false, false, false, false, false, false, true, true]);
}

/// The same seed and run give the same cells bit for bit; another run others.
#[test]
fn a_run_is_reproducible() {
    let source = Source::new(&Traffic {
        shared: LIVELY,
        ..QUIET
    });
    let first = |seed, run| {
        let mut stream = source.stream(seed, run);
        (0..50).map(|_| stream.next_cell()).collect::<Vec<_>>()
    };
    assert_eq!(first(1, 2), first(1, 2));
    assert_ne!(first(1, 2), first(1, 3));
    assert_ne!(first(1, 2), first(2, 2));
}

#[test]
fn quantiles_are_where_the_share_above_says() {
    for shape in [Shape::Cache, Shape::HeavyTail, Shape::LogNormal] {
        for level in [0.5, 0.9, 0.99] {
            near(shape.above(shape.quantile(level)), 1.0 - level, 1e-6);
        }
    }
    near(Shape::LogNormal.quantile(0.99), 0.230, 1e-6);
}
