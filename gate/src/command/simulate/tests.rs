//! The same report whatever the number of threads, mistakes of names all at once, JSON that is
//! read back, and the page of the record.

use super::*;

fn options(scenarios: &[&str], runs: u64) -> Simulate {
    Simulate {
        scenario: scenarios.iter().map(|&name| name.to_owned()).collect(),
        runs,
        seed: 3,
        from: None,
        output: SimulateOutput::Text,
    }
}

#[test]
fn any_number_of_threads_gives_the_same_report() {
    let options = options(&["twice-as-slow", "steady"], 3);
    let one = simulate(&options, 1).expect("runs");
    assert_eq!(simulate(&options, 2).expect("runs"), one);
    assert_eq!(simulate(&options, 5).expect("runs"), one);
    assert_eq!(one.scenarios.len(), 2);
    assert_eq!(one.scenarios[0].methods[0].rolled_back, 3);
}

#[test]
fn unknown_scenarios_are_named_together() {
    let error = simulate(&options(&["steady", "gone", "away"], 1), 1).expect_err("unknown");
    assert!(error.is::<Usage>());
    let message = error.to_string();
    for part in ["\"gone\"", "\"away\"", "--scenario list"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn all_scenarios_are_run_when_none_is_named() {
    let named = chosen(&[]).map(|scenarios| scenarios.len());
    assert!(named.is_ok_and(|n| n == all().count()));
}

#[test]
fn json_is_read_back_as_it_was_written() {
    let report = simulate(&options(&["twice-as-slow"], 2), 1).expect("runs");
    let first = json(&report).expect("written");
    let again: Report = serde_json::from_str(&first).expect("read");
    assert_eq!(json(&again).expect("written"), first);
    assert_eq!(again.scenarios[0].methods.len(), 7);
}

/// Guarantees: the page and the picture show what was recorded, and nothing else.
#[test]
fn the_page_is_that_of_the_record() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let record = read(&root.join("tests/record/simulate.json")).expect("a record");
    for (file, expected) in [
        ("docs/simulations.md", record.markdown()),
        ("tests/record/simulate.svg", picture::svg(&record.result)),
    ] {
        let found = std::fs::read_to_string(root.join(file)).expect("the file");
        assert!(
            found == expected,
            "{file} is not what the record gives: davy-gate simulate --from \
             tests/record/simulate.json --output markdown (or svg)"
        );
    }
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the file");
    assert!(
        readme.contains(&record.table()),
        "README.md has not the table that the record gives: davy-gate simulate --from \
         tests/record/simulate.json --output table"
    );
}
