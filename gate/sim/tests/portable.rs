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

/// All that is said of a rollout, as text that keeps every bit.
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
        write!(digest, "{:?}", judge.step(&stream.next_cell())).ok()?;
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
        81331fd585fd87ba drift
        cb12c4d6bb845634 first-check
        0964051f9e04548d differ-20
        b31224e56f491075 lost-windows
        ca77f7395fc50d07 classic-buckets
        bed6e5b59d135cda error-clusters
        7e623bf874742c7e one-route
        cc5cda1d242ad3a7 slower
        99a6cb27c98e8a03 busier
    "#]].assert_eq(&digests.concat());
}
