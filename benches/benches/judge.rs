//! One rollout after a new cell: 8 + 2 pods, two routes, sketches of 120 buckets.
//!
//! Every bench asserts its answer, so a faster wrong one does not count.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use davy_benches::rollout::{cell, judge, rolled_back};
use davy_gate_core::attempt::{Lives, Rollout};
use davy_gate_core::cell::Cell;
use davy_gate_core::history::History;
use davy_gate_core::judge::{Judge, Verdict};

/// Cells that are made once and judged over and over.
const CELLS: usize = 128;
/// Cells of half an hour.
const HALF_HOUR: usize = 360;

fn step(criterion: &mut Criterion) {
    let cells: Vec<Cell> = (0..CELLS as u64).map(cell).collect();
    let mut rollout = judge(&cells, 7);
    let mut at = 0;
    criterion.bench_function("judge/step", |bencher| {
        bencher.iter(|| {
            let said = rollout.step(black_box(&cells[at % CELLS]));
            at += 1;
            assert_ne!(said.verdict, Verdict::Rollback);
            assert_eq!((said.cells, said.objectives.len()), (at as u64, 3));
            said
        });
    });
    // Not where only another bench was asked for.
    if at >= HALF_HOUR {
        let last = rollout.step(&cells[0]);
        let verdict = last.verdict;
        assert_eq!(verdict, Verdict::Approve, "long judged: {last:?}");
    }
    // The first half hour, in which fewer bounds are proved and more is to be stepped: 360 cells.
    let begun = judge(&cells, 7);
    criterion.bench_function("judge/half_hour_of_360_steps", |bencher| {
        let run = |mut rollout: Judge| {
            let said = (0..HALF_HOUR).map(|at| rollout.step(black_box(&cells[at % CELLS])));
            let last = said.last().map(|said| said.verdict);
            assert_eq!(last, Some(Verdict::Approve));
        };
        bencher.iter_batched(|| begun.clone(), run, BatchSize::LargeInput);
    });
    let mut history = judge(&cells, 7);
    criterion.bench_function("judge/history", |bencher| {
        bencher.iter(|| history.history(black_box(&cells[at % CELLS])));
    });
}

/// Naming the pod that a rollback rests on: half an hour judged again without each of eight pods.
fn leave_one_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judge");
    group.sample_size(10);
    group.bench_function("leave_one_out_of_8_pods", |bencher| {
        let run = |begun: Result<(Rollout, History), _>| {
            let named =
                begun.map(|(mut rollout, history)| rollout.single_out(&history, &Lives::default()));
            assert_eq!(named, Ok(true));
        };
        bencher.iter_batched(rolled_back, run, BatchSize::PerIteration);
    });
}

criterion_group!(benches, step, leave_one_out);
criterion_main!(benches);
