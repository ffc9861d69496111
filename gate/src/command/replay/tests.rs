//! A generated recording, replayed.

use davy_gate_core::policy::Policy;

use super::*;

/// Draws that look random and are the same everywhere. Source: Steele, Lea, Flood 2014, splitmix64.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = usize::try_from(self.next()).expect("64 bits") % (at + 1);
            items.swap(at, other);
        }
    }
}

const CELLS: u64 = 110;
const BASELINE_ALONE: u64 = 24;
const BOUNDS: [f64; 5] = [0.05, 0.1, 0.2, 0.4, 0.8];

/// One window: 200 requests of log-logistic latency with median 60 ms, times `slower`.
fn window(index: u64, arm: &str, pod: &str, slower: f64, draws: &mut Draws) -> String {
    let mut counts = [0_u64; 6];
    let errors = u64::from(draws.uniform() < 0.2);
    let requests = 180 + draws.next() % 40;
    for _ in errors..requests {
        let u = draws.uniform();
        let latency = slower * 0.06 * (u / (1.0 - u)).powf(0.35);
        counts[BOUNDS.iter().take_while(|bound| latency > **bound).count()] += 1;
    }
    let (start, end) = (start_of(index), cell_end(index));
    let cpu = requests as f64 * 0.004 * slower.sqrt() * (0.97 + 0.06 * draws.uniform());
    format!(
        "{{\"version\":1,\"start\":\"{start}\",\"end\":\"{end}\",\"service\":\"shop\",\
         \"arm\":\"{arm}\",\"pod\":\"{pod}\",\"routes\":[{{\"route\":\"GET /buy\",\
         \"requests\":{requests},\"errors\":{errors},\"latency\":{{\
         \"bounds_seconds\":{BOUNDS:?},\"counts\":{counts:?}}}}}],\"cpu\":{{\"seconds\":{cpu}}}}}"
    )
}

/// Cells of a recording: four pods of v1, and from [`BASELINE_ALONE`] on one of v2.
fn recording(slower: f64) -> Vec<Vec<String>> {
    let mut draws = Draws(7);
    let first = 1_764_000_000 / CELL_SECONDS;
    let cell = |at: u64| {
        let mut lines: Vec<String> = ["a", "b", "c", "d"]
            .map(|pod| window(first + at, "v1", pod, 1.0, &mut draws))
            .into();
        if at >= BASELINE_ALONE {
            lines.push(window(first + at, "v2", "e", slower, &mut draws));
        }
        lines
    };
    (0..CELLS).map(cell).collect()
}

fn policy() -> Policy {
    let text = "version: 1\nrisk: {assume: alike}\ntiming: {warm_up: 0s}\nobjectives:\n\
                - {name: latency, indicator: latency}\n- {name: cpu, indicator: cpu_per_request}\n";
    Policy::read("policy", text).expect("a policy")
}

fn printed(cells: &[Vec<String>]) -> String {
    let text = cells.concat().join("\n");
    let arms = arms("v1", "v2").expect("two arms");
    let replayed = replay(text.as_bytes(), &policy(), &arms).expect("replayed");
    assert_eq!(replayed.notes, Vec::<String>::new());
    let mut out = Vec::new();
    write_lines(&mut out, &replayed).expect("written");
    String::from_utf8(out).expect("text")
}

fn verdicts(printed: &str) -> Vec<(Verdict, bool)> {
    let read = |line: &str| serde_json::from_str::<Evaluation>(line).expect("an evaluation");
    printed
        .lines()
        .map(read)
        .map(|e| (e.verdict, e.is_final))
        .collect()
}

#[test]
fn a_good_canary_is_approved() {
    let approved = [
        (Verdict::Undecided, false),
        (Verdict::Approve, true),
        (Verdict::Approve, true),
    ];
    let printed = printed(&recording(1.0));
    assert_eq!(verdicts(&printed), approved, "{printed}");
}

#[test]
fn a_slow_canary_is_rolled_back() {
    let printed = printed(&recording(1.6));
    let back = [
        (Verdict::Undecided, false),
        (Verdict::Rollback, true),
        (Verdict::Rollback, true),
    ];
    assert_eq!(verdicts(&printed), back, "{printed}");
    let decided: Evaluation =
        serde_json::from_str(printed.lines().nth(1).expect("a line")).expect("an evaluation");
    assert!((10..=60).contains(&decided.elapsed_seconds), "{printed}");
    assert_eq!(decided.rollout.service, "shop");
}

/// Guarantees: the order of windows within a cell, and windows delivered twice, change no byte.
#[test]
fn order_and_duplicates_change_no_byte() {
    for slower in [1.0, 1.6] {
        let cells = recording(slower);
        let straight = printed(&cells);
        let mut draws = Draws(11);
        let shuffled: Vec<Vec<String>> = cells
            .into_iter()
            .map(|cell| {
                let mut twice = [cell.clone(), cell].concat();
                draws.shuffle(&mut twice);
                twice
            })
            .collect();
        assert_eq!(printed(&shuffled), straight);
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let arms = arms("v1", "v2").expect("two arms");
    let error = replay(text.as_bytes(), &policy(), &arms).expect_err("refused");
    assert!(error.downcast_ref::<Usage>().is_some());
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn a_bad_line_is_refused_with_its_number() {
    let mut draws = Draws(1);
    let good = window(1000, "v1", "a", 1.0, &mut draws);
    refused("", "the evidence has no windows");
    refused("\n\n", "the evidence has no windows");
    refused("{", "line 1: column ");
    refused(&format!("{good}\n\nnonsense\n"), "line 3: column ");
    refused(
        &format!("{good}\n{}", good.replace("errors", "errorz")),
        "line 2: column ",
    );
    refused(
        &format!("{good}\n{}", good.replace("shop", "cart")),
        "line 2: is of service cart",
    );
    let later = window(1000 + 8 * 17_280, "v1", "a", 1.0, &mut draws);
    refused(
        &format!("{good}\n{later}"),
        "line 2: comes more than a week after",
    );
}

#[test]
fn an_arm_without_windows_is_said() {
    let arms = arms("v1", "v3").expect("two arms");
    let text = recording(1.0).concat().join("\n");
    let replayed = replay(text.as_bytes(), &policy(), &arms).expect("replayed");
    assert_eq!(replayed.notes, ["no window is of arm v3; there is v1, v2"]);
    assert_eq!(replayed.changes, []);
    assert_eq!(replayed.last.verdict, Verdict::Undecided);
    assert_eq!(
        replayed.last.reason,
        "undecided: no evidence of the canary yet"
    );
}
