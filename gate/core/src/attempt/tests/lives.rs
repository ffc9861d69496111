//! What an attempt makes of the lives of pods: warm-up, restarts, and a canary that was there before.

use super::*;

/// What was seen of the canary before the first evaluation is judged like what comes after.
#[test]
fn warm_up_holds_for_cells_before_the_first_evaluation() {
    let mut history = History::new(720, usize::MAX);
    (0..120).for_each(|cell| history.push(BASE + cell, arms(cell, Some(0), None)));
    for cell in 120..144 {
        let mut both = arms(cell, Some(0), Some(0));
        let canary = &mut both.get_mut("v2").unwrap().pods[0];
        if cell < 140 {
            canary.cpu_seconds = Some(10.0);
            let route = canary.routes.get_mut("GET /buy").unwrap();
            route.latency = Sketch::Empty;
            (0..200).for_each(|_| route.latency.add(2.0, 5));
        }
        history.push(BASE + cell, both);
    }
    let (started, now) = [120, 144].map(|cell| (BASE + cell) * CELL_SECONDS).into();
    let lives = Lives {
        canary: vec![life("v2-0", Some(started), &[])],
        ..Lives::default()
    };
    let now = UnixNanos::from_seconds(now);
    let verdict = |lives: &Lives| {
        let mut policy = Policy::standard();
        policy.timing.warm_up = Duration::from_secs(100);
        let mut rollout = Rollout::new(&call(0), &policy, "p1", &history, lives, now);
        rollout.evaluate(now).verdict
    };
    assert_eq!(verdict(&lives), Verdict::Undecided);
    assert_eq!(
        verdict(&Lives::default()),
        Verdict::Rollback,
        "without a warm-up"
    );
}

#[test]
fn a_pod_of_the_baseline_warms_up_when_it_is_new() {
    let cell = |pod: &str| PodCell {
        pod: pod.into(),
        ..pod_cell("v1", 0, 0, 0)
    };
    let mut scaled_up = life("new", None, &[]);
    scaled_up.first_seen = UnixNanos::from_seconds(BASE + 600);
    let lives = [
        life("old", None, &[]),
        life("restarted", Some(BASE + 300), &[]),
        scaled_up,
    ];
    let born = |pod| born_into(&lives, &cell(pod)).map(UnixNanos::seconds);
    assert_eq!(born("old"), None, "it may have been there for long");
    assert_eq!(born("restarted"), Some(BASE + 300));
    assert_eq!(born("new"), Some(BASE + 595));
}

#[test]
fn the_deadline_counts_from_the_attempt_when_the_canary_was_there_long_before() {
    let mut policy = Policy {
        on_deadline: OnDeadline::Rollback,
        ..Policy::standard()
    };
    policy.timing.max_duration = Duration::from_secs(600);
    policy.objectives[0].ratio.as_mut().unwrap().approve_below = 1.101;
    let mut history = History::new(720, usize::MAX);
    (0..200).for_each(|cell| history.push(BASE + cell, arms(cell, Some(0), Some(0))));
    let begin = UnixNanos::from_seconds((BASE + 200) * CELL_SECONDS);
    let none = Lives::default();
    let mut rollout = Rollout::new(&call(0), &policy, "p1", &history, &none, begin);
    let first = rollout.evaluate(begin);
    assert_eq!(
        (first.verdict, first.elapsed_seconds),
        (Verdict::Undecided, 1000)
    );
    let later = rollout.evaluate(begin.plus(Duration::from_secs(590)));
    assert_eq!(later.verdict, Verdict::Undecided);
    let end = rollout.evaluate(begin.plus(Duration::from_secs(600)));
    assert_eq!(end.verdict, Verdict::Rollback);
}

#[test]
fn restarts_before_the_first_counted_cell_are_forgiven() {
    let mut bench = Bench::new(Policy::standard());
    let before = UnixNanos::from_seconds(BASE * CELL_SECONDS);
    bench.lives.canary = vec![life("v2-0", Some(BASE), &[before, before])];
    let evaluation = bench.cell(Some(0), Some(0));
    assert_eq!(evaluation.verdict, Verdict::Undecided);
    assert_eq!(evaluation.objectives[3].canary, Some(0.0));
}

#[test]
fn restarts_that_nobody_tells_are_not_safe_but_unavailable() {
    let mut bench = Bench::new(Policy::standard());
    bench.lives.canary = vec![life("v2-0", None, &[])];
    let stability = bench.cell(Some(0), Some(0)).objectives.remove(3);
    assert_eq!(stability.verdict, ObjectiveVerdict::Unavailable);
    assert_eq!(stability.canary, None);
}
