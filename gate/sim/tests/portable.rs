//! The same evidence gives the same verdict on every machine, bit for bit.
//!
//! Every number that the judge says of some rollouts, whole and after a restart, is folded into one
//! digest. It is the same whatever the processor, the operating system's C library and the
//! compiler's level; `make machines` runs this test on several.

use std::fmt::Write as _;

use davy_gate_core::judge::Judge;
use davy_gate_sim::scenario::Scenario;
use davy_gate_sim::traffic::Source;

/// What each kind of evidence is in: several routes, one pod each, pods that differ, lost windows,
/// classic buckets, errors in clusters, a slow canary.
const SCENARIOS: [&str; 9] = [
    "drift",
    "first-check",
    "differ-20",
    "lost-windows",
    "classic-buckets",
    "error-clusters",
    "one-route",
    "slower",
    "busier",
];
/// Cells judged: ten minutes.
const CELLS: usize = 120;
/// The cell after which the judge is saved and restored.
const RESTART: usize = 47;

/// FNV-1a of 64 bits (Fowler, Noll, Vo).
struct Digest(u64);

impl std::fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

/// The numbers that are said of a rollout, as text that keeps every bit.
fn digest(name: &str, restart: bool) -> Option<u64> {
    let scenario = Scenario::named(name).ok()?;
    let mut stream = Source::new(&scenario.traffic).stream(7, 1);
    let mut judge = Judge::new(scenario.judge(7));
    for _ in 0..scenario.traffic.history {
        judge.history(&stream.next_cell());
    }
    let mut digest = Digest(0xcbf2_9ce4_8422_2325);
    for cell in 0..CELLS {
        if restart && cell == RESTART {
            judge = Judge::restore(scenario.judge(7), judge.save()).ok()?;
        }
        let said = judge.step(&stream.next_cell());
        let whole = (said.verdict, said.log_e_harm, said.confidence, said.eta);
        write!(digest, "{whole:?}").ok()?;
        for o in said.objectives {
            let tests = (o.harm_log_e, o.safe_log_e, o.low, o.high, o.eta);
            write!(digest, "{tests:?}{:?}", (o.baseline, o.canary)).ok()?;
        }
    }
    Some(digest.0)
}

#[test]
fn verdicts_are_the_same_on_every_machine() {
    let digests = SCENARIOS.map(|name| {
        let found = digest(name, false).expect("a scenario, and a judge that can be restored");
        assert_eq!(digest(name, true), Some(found), "{name} after a restart");
        format!("{found:016x} {name}\n")
    });
    expect_test::expect![[r#"
        a8377d253c2e0ecd drift
        9457a7ace2317494 first-check
        1ba823d89c742c40 differ-20
        99784aba06a8651d lost-windows
        e10736ef5a64a139 classic-buckets
        437292694ef1830c error-clusters
        8e7072ee66a74aa8 one-route
        c9096b96b5b32bd4 slower
        17126a5e3099f7a5 busier
    "#]]
    .assert_eq(&digests.concat());
}
