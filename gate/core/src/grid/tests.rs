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
    assert_eq!(lives[0].restarts, 2);
    assert_eq!(lives[0].started, Some(UnixNanos::from_seconds(113)));
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
        let cells = |windows: &[Window]| {
            let mut grid = Grid::new();
            for window in windows {
                grid.take(window);
            }
            let mut found = Vec::new();
            while let Some(cell) = grid.close(UnixNanos::from_seconds(200)) {
                found.push(cell);
                if found.len() > 30 { break; }
            }
            found
        };
        prop_assert_eq!(cells(&plain), cells(&mixed));
    }
}
