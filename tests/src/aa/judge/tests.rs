//! A generated recording, split and judged.

use davy_gate_core::policy::Assume;
use davy_gate_sim::chance::Chance;

use super::*;

/// First cell of the recording, and how many it has.
const FIRST: u64 = 360_000_000;
const CELLS: u64 = 100;
const BOUNDS: [f64; 5] = [0.05, 0.1, 0.2, 0.4, 0.8];

/// A window of 200 requests of log-logistic latency with median 60 ms, times `slower`.
fn window(cell: u64, arm: &str, pod: usize, slower: f64, chance: &mut Chance) -> Window {
    let mut counts = [0_u64; 6];
    for _ in 0..200 {
        let u = chance.uniform();
        let latency = slower * 0.06 * (u / (1.0 - u)).powf(0.35);
        counts[BOUNDS.iter().take_while(|bound| latency > **bound).count()] += 1;
    }
    let (start, end) = (cell_end(cell - 1), cell_end(cell));
    let cpu = 0.8 * (0.97 + 0.06 * chance.uniform());
    let line = format!(
        "{{\"version\":1,\"start\":\"{start}\",\"end\":\"{end}\",\"service\":\"shop\",\
         \"arm\":\"{arm}\",\"pod\":\"shop-{pod}\",\"routes\":[{{\"route\":\"GET /buy\",\
         \"requests\":200,\"errors\":0,\"latency\":{{\"bounds_seconds\":{BOUNDS:?},\
         \"counts\":{counts:?}}}}}],\"cpu\":{{\"seconds\":{cpu}}}}}"
    );
    Window::parse_line(&line).expect("a window")
}

/// Five instances alike, and one that is slower by half.
fn evidence() -> Evidence {
    let mut chance = Chance::new(3, 0);
    let mut windows = Vec::new();
    for cell in FIRST..FIRST + CELLS {
        windows.extend((0..5).map(|pod| window(cell, ALIKE, pod, 1.0, &mut chance)));
        windows.push(window(cell, "slower", 5, 1.5, &mut chance));
    }
    Evidence::of(windows)
}

const SHAPE: &Shape = &SHAPES[1];

fn verdicts(canary: &str, history: u64) -> Vec<Judged> {
    let evidence = evidence();
    let span = Span {
        starts: FIRST + history..FIRST + CELLS - 70,
        history,
        judged: 70,
    };
    let mut policy = policy();
    policy.risk.assume = Some(Assume::Alike);
    // Without errors at all their objective waits for the floor, which takes long.
    policy
        .objectives
        .retain(|objective| objective.indicator != Indicator::Errors);
    let pools = (evidence.of_arm(ALIKE), evidence.of_arm(canary));
    let draw = |number| Split::draw(SHAPE, (&pools.0, &pools.1), &span, 1, number).expect("one");
    let splits: Vec<Split> = (0..6).map(draw).collect();
    judge_all(&evidence, &splits, SHAPE, &span, &policy).expect("judged")
}

#[test]
fn instances_alike_are_approved_and_worse_ones_rolled_back() {
    for (arm, expected) in [(ALIKE, Verdict::Approve), ("slower", Verdict::Rollback)] {
        for judged in verdicts(arm, 12) {
            assert_eq!(judged.verdict, expected, "{judged:?}");
            assert!((10..=350).contains(&judged.seconds), "{judged:?}");
        }
    }
}

/// Guarantees: the cores that share the splits change nothing in what is said of them.
#[test]
fn the_same_splits_are_judged_the_same() {
    assert_eq!(verdicts(ALIKE, 12), verdicts(ALIKE, 12));
}
