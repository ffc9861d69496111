use std::time::Duration;

use davy_proto::window::{Cpu, Explicit, Latency, Route, Source, Version};
use proptest::prelude::*;

use super::*;

pub(crate) fn window(arm: &str, pod: &str, start: u64, end: u64, requests: u64) -> Window {
    let latency = Latency::Explicit(Explicit {
        bounds_seconds: vec![0.1],
        counts: vec![requests, 0],
    });
    Window {
        version: Version,
        start: UnixNanos::from_seconds(start),
        end: UnixNanos::from_seconds(end),
        service: "shop".to_owned(),
        namespace: "prod".to_owned(),
        arm: Arm::new(arm).unwrap(),
        pod: pod.to_owned(),
        started: None,
        source: Source::Histogram,
        routes: vec![Route {
            route: "GET /buy".to_owned(),
            requests,
            latency: Some(latency),
            ..Route::default()
        }],
        cpu: Some(Cpu {
            seconds: 0.1 * requests as f64,
            limit_cores: Some(2.0),
        }),
        build: None,
    }
}

/// A pod's name, requests and coverage.
type Row = (String, u64, f64);

fn requests(cell: &ArmCell) -> Vec<Row> {
    let of = |pod: &PodCell| {
        let sum = pod.routes.values().map(|route| route.requests).sum();
        (pod.pod.to_string(), sum, pod.coverage)
    };
    cell.pods.iter().map(of).collect()
}

/// All cells that close by `now`: index, and per arm the pods' requests and coverage.
fn closed(grid: &mut Grid, now: u64) -> Vec<(u64, Vec<Row>)> {
    let mut found = Vec::new();
    while let Some((index, arms)) = grid.close(UnixNanos::from_seconds(now)) {
        found.push((index, arms.values().flat_map(requests).collect()));
    }
    found
}

fn row(pod: &str, requests: u64, coverage: f64) -> Row {
    (pod.to_owned(), requests, coverage)
}

#[test]
fn a_cell_closes_when_every_live_pod_reported() {
    let mut grid = Grid::new();
    grid.take(&window("v1", "a", 100, 105, 7));
    grid.take(&window("v2", "b", 100, 105, 3));
    assert_eq!(
        closed(&mut grid, 105),
        vec![(20, vec![row("a", 7, 1.0), row("b", 3, 1.0)])]
    );
    grid.take(&window("v1", "a", 105, 110, 8));
    assert_eq!(closed(&mut grid, 110), vec![], "waits for b");
    grid.take(&window("v2", "b", 105, 110, 4));
    assert_eq!(
        closed(&mut grid, 110),
        vec![(21, vec![row("a", 8, 1.0), row("b", 4, 1.0)])]
    );
}

#[test]
fn a_pod_that_always_reports_last_is_heard_from_its_second_window_on() {
    let mut grid = Grid::new();
    grid.take(&window("v1", "a", 100, 105, 7));
    assert_eq!(closed(&mut grid, 105).len(), 1, "a is all there is");
    assert_eq!(grid.take(&window("v2", "b", 100, 105, 3)), Outcome::Late);
    grid.take(&window("v1", "a", 105, 110, 8));
    assert_eq!(closed(&mut grid, 110), vec![], "waits for b");
    grid.take(&window("v2", "b", 105, 110, 4));
    let both = vec![row("a", 8, 1.0), row("b", 4, 1.0)];
    assert_eq!(closed(&mut grid, 110), vec![(21, both)]);
    // One that came too late, and never again, is not waited for for long.
    assert_eq!(grid.take(&window("v2", "c", 105, 110, 1)), Outcome::Late);
    let report = |grid: &mut Grid, cell: u64| {
        for (arm, pod) in [("v1", "a"), ("v2", "b")] {
            grid.take(&window(arm, pod, 5 * cell, 5 * cell + 5, 1));
        }
        closed(grid, 5 * cell + 5).len()
    };
    assert_eq!(
        [22, 23, 24, 25, 26].map(|cell| report(&mut grid, cell)),
        [0, 0, 1, 1, 3]
    );
}

#[test]
fn a_cell_is_two_windows_late_at_most_and_later_ones_are_counted() {
    let mut grid = Grid::new();
    grid.take(&window("v1", "a", 100, 105, 7));
    grid.take(&window("v2", "b", 100, 105, 3));
    closed(&mut grid, 105);
    grid.take(&window("v1", "a", 105, 110, 8));
    assert_eq!(closed(&mut grid, 119), vec![]);
    assert_eq!(closed(&mut grid, 120), vec![(21, vec![row("a", 8, 1.0)])]);
    assert_eq!(grid.take(&window("v2", "b", 105, 110, 4)), Outcome::Late);
    assert_eq!(grid.counts()[&Outcome::Late], 1);
}

#[test]
fn silence_is_a_cell_without_the_pod() {
    let mut grid = Grid::new();
    grid.take(&window("v1", "a", 100, 105, 7));
    grid.take(&window("v2", "b", 100, 105, 3));
    closed(&mut grid, 105);
    let mut expected = Vec::new();
    for cell in 21..27_u64 {
        grid.take(&window("v1", "a", cell * 5, cell * 5 + 5, 8));
        while let Some((_, arms)) = grid.close(UnixNanos::from_seconds(cell * 5 + 15)) {
            expected.push(arms[&Arm::new("v2").unwrap()].expected);
        }
    }
    assert_eq!(expected, vec![1, 1, 1, 0, 0, 0]);
}

#[test]
fn short_windows_add_up_and_long_ones_count_where_they_end() {
    let mut grid = Grid::new();
    for second in 100..104 {
        grid.take(&window("v1", "a", second, second + 1, 1));
    }
    assert_eq!(closed(&mut grid, 115), vec![(20, vec![row("a", 4, 0.8)])]);
    let mut grid = Grid::new();
    grid.take(&window("v1", "a", 100, 105, 1));
    grid.take(&window("v1", "a", 105, 115, 9));
    let cells = vec![
        (20, vec![row("a", 1, 1.0)]),
        (21, vec![row("a", 0, 1.0)]),
        (22, vec![row("a", 9, 1.0)]),
    ];
    assert_eq!(closed(&mut grid, 115), cells);
    let mut grid = Grid::new();
    grid.take(&window("v1", "a", 100, 105, 1));
    closed(&mut grid, 105);
    grid.take(&window("v1", "a", 105, 115, 9));
    assert_eq!(closed(&mut grid, 115), cells[1..]);
}

#[test]
fn a_window_counts_once() {
    let mut grid = Grid::new();
    let first = window("v1", "a", 100, 105, 7);
    assert_eq!(grid.take(&first), Outcome::Counted);
    assert_eq!(grid.take(&first), Outcome::Duplicate);
    assert_eq!(grid.take(&window("v1", "a", 102, 107, 7)), Outcome::Overlap);
    let mut other_part = window("v1", "a", 100, 105, 2);
    other_part.cpu = None;
    other_part.routes[0].route = "GET /sell".to_owned();
    assert_eq!(grid.take(&other_part), Outcome::Counted);
    assert_eq!(closed(&mut grid, 105), vec![(20, vec![row("a", 9, 1.0)])]);
    assert_eq!(grid.take(&first), Outcome::Late);
}

#[test]
fn a_process_that_starts_again_is_a_restart() {
    let mut grid = Grid::new();
    for (start, started) in [(100, 90), (105, 90), (110, 108), (115, 113)] {
        let mut window = window("v2", "b", start, start + 5, 1);
        window.started = Some(UnixNanos::from_seconds(started));
        grid.take(&window);
    }
    let lives = grid.lives(&Arm::new("v2").unwrap());
    let told = [115, 120].map(UnixNanos::from_seconds);
    assert_eq!(lives[0].restarts, told, "the ends of the windows that told");
    assert_eq!(lives[0].started, Some(UnixNanos::from_seconds(113)));
}

/// A clock of 1970 would have the grid close every cell since then.
#[test]
fn one_clock_of_long_ago_holds_nobody_up() {
    let now = 1_800_000_000_u64;
    let mut grid = Grid::new();
    grid.take(&window("v1", "ancient", 5, 10, 9));
    grid.take(&window("v1", "a", now - 10, now - 5, 7));
    let first = vec![row("a", 7, 1.0)];
    assert_eq!(closed(&mut grid, now), vec![((now - 10) / 5, first)]);
    assert_eq!(
        grid.counts()[&Outcome::Late],
        1,
        "what it said is lost, counted"
    );
    assert_eq!(
        grid.lives(&Arm::new("v1").unwrap()).len(),
        1,
        "and it is forgotten"
    );
    // Nor does a grid that nobody asked for a day close every cell of the day.
    grid.take(&window("v1", "a", now - 5, now, 7));
    assert!(closed(&mut grid, now + 86_400).len() <= 721);
}

#[test]
fn a_clock_that_is_ahead_does_not_shut_out_who_comes_next() {
    let mut grid = Grid::new();
    grid.take(&window("v1", "ahead", 150, 155, 9));
    assert_eq!(closed(&mut grid, 105), vec![]);
    assert_eq!(grid.take(&window("v1", "a", 100, 105, 7)), Outcome::Counted);
    assert_eq!(closed(&mut grid, 105), vec![(20, vec![row("a", 7, 1.0)])]);
}

#[test]
fn a_pod_that_is_late_for_ever_delays_the_others_for_a_while_only() {
    let mut grid = Grid::new();
    let mut waited = 0;
    for cell in 20..60_u64 {
        let end = cell * 5 + 5;
        grid.take(&window("v1", "a", end - 5, end, 7));
        // Its clock is so late that even a cell that waits is closed before it reports.
        if cell > 22 {
            let outcome = grid.take(&window("v2", "slow", end - 20, end - 15, 7));
            assert_eq!(outcome, Outcome::Late);
        }
        waited += u64::from(closed(&mut grid, end).is_empty());
    }
    assert!(waited <= 14, "{waited} cells of 40 waited");
}

#[test]
fn windows_of_a_second_all_count_even_when_cells_close_late() {
    let mut grid = Grid::new();
    grid.take(&window("v1", "late", 95, 100, 1));
    let mut seen = 0.0;
    for second in 100..400 {
        // A pod that reports now and then has the cells wait as long as they may.
        if second % 15 == 0 {
            grid.take(&window("v1", "late", second - 5, second, 1));
        }
        let outcome = grid.take(&window("v1", "a", second, second + 1, 1));
        assert_eq!(outcome, Outcome::Counted, "second {second}");
        let cells = closed(&mut grid, second + 1);
        let a = cells
            .iter()
            .flat_map(|(_, rows)| rows)
            .filter(|row| row.0 == "a");
        seen += a.map(|row| row.1 as f64).sum::<f64>();
    }
    assert!(seen >= 285.0, "{seen}");
}

#[test]
fn pods_that_are_gone_make_room_for_new_ones() {
    let mut grid = Grid::new();
    grid.take(&window("v1", "a", 100, 105, 7));
    for pod in 1..PODS_MAX {
        grid.take(&window("v1", &format!("old-{pod}"), 100, 105, 1));
    }
    assert_eq!(
        grid.take(&window("v2", "new", 100, 105, 3)),
        Outcome::TooManyPods
    );
    for cell in 20..26_u64 {
        grid.take(&window("v1", "a", cell * 5, cell * 5 + 5, 7));
        closed(&mut grid, cell * 5 + 15);
    }
    assert_eq!(
        grid.take(&window("v2", "new", 130, 135, 3)),
        Outcome::Counted
    );
}

#[test]
fn latency_that_does_not_go_with_that_of_its_cell_is_said() {
    let mut grid = Grid::new();
    grid.take(&window("v1", "a", 100, 102, 7));
    let mut other = window("v1", "a", 102, 105, 2);
    other.routes[0].latency = Some(Latency::Explicit(Explicit {
        bounds_seconds: vec![0.2],
        counts: vec![2, 0],
    }));
    assert_eq!(grid.take(&other), Outcome::LatencyRefused);
    assert_eq!(closed(&mut grid, 105), vec![(20, vec![row("a", 9, 1.0)])]);
}

/// The same numbers told again by a sender that has learnt when its process started.
#[test]
fn what_is_said_beside_the_numbers_makes_no_other_part() {
    let mut grid = Grid::new();
    grid.take(&window("v1", "a", 100, 105, 7));
    let mut again = window("v1", "a", 100, 105, 7);
    again.started = Some(UnixNanos::from_seconds(90));
    assert_eq!(grid.take(&again), Outcome::Duplicate);
}

proptest! {
    /// Guarantees: order of arrival and duplicates change nothing in the cells, to the bit.
    #[test]
    fn order_and_duplicates_change_nothing(
        windows in prop::collection::vec((0..2_usize, 0..3_usize, 0..4_u64, 0..9_u64), 1..30),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        seed in any::<u64>(),
    ) {
        let mut unique = BTreeMap::new();
        for (arm, pod, at, n) in windows {
            let (arm, pod) = (["v1", "v2"][arm], ["a", "b", "c"][pod]);
            unique.insert((arm, pod, at), window(arm, pod, 100 + at * 5, 105 + at * 5, n));
        }
        let plain: Vec<Window> = unique.into_values().collect();
        let mut mixed = plain.clone();
        mixed.extend(again.iter().map(|at| at.get(&plain).clone()));
        let mut state = seed | 1;
        for at in (1..mixed.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            mixed.swap(at, (state >> 33) as usize % (at + 1));
        }
        prop_assert_eq!(cells(&plain), cells(&mixed));
    }

    /// Guarantees: windows split anywhere inside a cell are the same cell, to the bit.
    #[test]
    fn splits_within_a_cell_change_nothing(
        windows in prop::collection::vec((0..3_usize, 0..400_u64, 0..5_000_000_000_u64), 1..12),
        cuts in prop::collection::vec(
            (any::<prop::sample::Index>(), 1..5_000_000_000_u64, 0.0..=1.0), 0..20,
        ),
    ) {
        let whole = windows.iter().enumerate().map(|(at, &(pod, n, cpu))| {
            let at = 100 + 5 * at as u64;
            let mut window = window("v1", ["a", "b", "c"][pod], at, at + 5, n);
            window.cpu = Some(Cpu { seconds: cpu as f64 / 1e9, limit_cores: Some(2.0) });
            window
        });
        let whole: Vec<Window> = whole.collect();
        let mut parts = whole.clone();
        for (at, offset, share) in cuts {
            let at = at.index(parts.len());
            let (first, second) = split(&parts[at], offset, share);
            parts[at] = first;
            parts.extend(second);
        }
        prop_assert_eq!(cells(&whole), cells(&parts));
    }
}

/// Splits a window so many nanoseconds after its cell's start; counts and CPU by `share`.
fn split(window: &Window, offset: u64, share: f64) -> (Window, Option<Window>) {
    let cell = window.end.nanos().div_ceil(5_000_000_000) - 1;
    let cut = UnixNanos::from_seconds(cell * 5).plus(Duration::from_nanos(offset));
    if cut <= window.start || cut >= window.end {
        return (window.clone(), None);
    }
    let (mut first, mut second) = (window.clone(), window.clone());
    (first.end, second.start) = (cut, cut);
    let requests = window.routes[0].requests;
    let taken = (requests as f64 * share) as u64;
    let counts = |n: u64| {
        Latency::Explicit(Explicit {
            bounds_seconds: vec![0.1],
            counts: vec![n, 0],
        })
    };
    for (part, n) in [(&mut first, taken), (&mut second, requests - taken)] {
        part.routes[0].requests = n;
        part.routes[0].latency = Some(counts(n));
    }
    let nanos = (window.cpu.unwrap().seconds * 1e9).round();
    let taken = (nanos * share).floor();
    for (part, nanos) in [(&mut first, taken), (&mut second, nanos - taken)] {
        part.cpu.as_mut().unwrap().seconds = nanos / 1e9;
    }
    (first, Some(second))
}

/// Everything that closes.
fn cells(windows: &[Window]) -> Vec<(u64, BTreeMap<Arm, ArmCell>)> {
    let mut grid = Grid::new();
    for window in windows {
        grid.take(window);
    }
    let mut found = Vec::new();
    while let Some(cell) = grid.close(UnixNanos::from_seconds(200)) {
        found.push(cell);
        if found.len() > 30 {
            break;
        }
    }
    found
}
