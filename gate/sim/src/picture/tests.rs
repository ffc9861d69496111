//! The picture is well-formed and holds what it should.

use super::*;
use crate::rollout::Outcome;
use crate::scenario::Scenario;
use crate::tally::ScenarioTally;
use davy_gate_core::judge::Verdict;

fn tally(name: &str, verdict: Verdict, cells: u64) -> ScenarioTally {
    let outcome = Outcome {
        verdict,
        cells,
        proved_at_edge: false,
    };
    let runs = vec![vec![outcome; Method::ALL.len()]; 10];
    ScenarioTally::new(Scenario::named(name).expect("known"), &runs)
}

#[test]
fn every_method_has_a_point_a_ring_and_a_legend() {
    let report = Report::new(
        1,
        10,
        vec![
            tally("steady", Verdict::Approve, 30),
            tally("slower", Verdict::Rollback, 7),
            tally("safety-cpu", Verdict::Rollback, 9),
            tally("stalls", Verdict::Undecided, 360),
            tally("leak", Verdict::Approve, 60),
        ],
    );
    let svg = svg(&report);
    let count = |part: &str| svg.matches(part).count();
    // A point, a ring and a mark of the legend for each; none of what never decides, of a bad
    // canary that was approved, or of edges of safety.
    assert_eq!(count("<circle"), 3 * Method::ALL.len());
    assert_eq!(count("fill=\"none\""), Method::ALL.len());
    assert_eq!(count("<title>"), 1 + 2 * Method::ALL.len());
    for method in Method::ALL {
        assert!(svg.contains(&format!(">{}</text>", method.as_str())));
    }
    assert!(svg.contains("median time to a verdict") && svg.contains("10 rollouts each"));
    for tag in ["svg", "text", "title", "circle"] {
        let closed = count(&format!("</{tag}>")) + count("/>");
        assert!(count(&format!("<{tag}")) <= closed, "{tag}");
    }
}

#[test]
fn axes_are_where_they_say() {
    assert_eq!(x_of(10.0), PLOT.0);
    assert_eq!(x_of(1_800.0), PLOT.1);
    assert_eq!((y_of(0.0), y_of(1.0)), (PLOT.3, PLOT.2));
    assert!(x_of(60.0) < x_of(180.0) && y_of(0.01) < y_of(0.0) - 20.0);
}
