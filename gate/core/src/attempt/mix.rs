//! Whether the canary gets the requests that it should: its share beside its weight, and every
//! route of the baseline.
//!
//! Comparisons are per request, so they bear an uneven mix; but a canary that is starved, or never
//! called on some route, was not tried, and a person should know. It is said and decides nothing.
//!
//! That the share *is* the weight would be refuted in any real rollout: balancers count connections
//! or pods, clients keep connections, and a weight of 10 % beside five pods is one pod in six, 1.8
//! times its odds. So "within twice the weight's odds, either way" has to be refuted, by Bernoulli
//! likelihood ratios that one cell raises by at most ln 5; and of a route "at least a tenth of the
//! share that the baseline has there". Source: docs/statistics.md, section 6.7.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cell::{Cell, PodCell};
use crate::combine::log_mean;
use crate::evalue::bernoulli::Bernoulli;
use crate::explain;

/// Odds of the canary's share of requests may differ from its weight's by this factor.
const TOLERANCE: f64 = 2.0;
/// Alternatives beyond it, as factors of the odds; and below it, none at all among them.
const MORE: [f64; 3] = [1.5, 3.0, 10.0];
const LESS: [f64; 4] = [0.0, 0.1, 1.0 / 3.0, 1.0 / 1.5];
/// A route may be called this many times less often than at the baseline.
const ROUTE_TOLERANCE: f64 = 10.0;
/// Most routes that are counted.
const ROUTES_MAX: usize = 256;

/// Requests of both arms.
#[derive(Clone, Debug, Default)]
pub(super) struct Mix {
    weight: Option<Weight>,
    /// By route, since the canary's first counted cell: baseline, canary.
    routes: BTreeMap<Arc<str>, (u64, u64)>,
}

/// The share that is expected and what speaks against it.
#[derive(Clone, Debug)]
struct Weight {
    /// In (0, 1).
    share: f64,
    more: Bernoulli,
    less: Bernoulli,
    /// Requests since it was told: of the canary, of both.
    counted: (u64, u64),
}

impl Mix {
    /// Expects a share in percent; another one than before begins anew, one that is not between 0
    /// and 100 is none.
    pub(super) fn expect(&mut self, percent: Option<f64>) {
        let share = percent.map(|percent| percent / 100.0);
        let share = share.filter(|share| *share > 0.0 && *share < 1.0);
        if share != self.weight.as_ref().map(|weight| weight.share) {
            self.weight = share.map(Weight::new);
        }
    }

    /// Counts a cell. One in which an arm is silent says nothing of shares.
    pub(super) fn count(&mut self, cell: &Cell) {
        let sum = |pods: &[PodCell]| {
            let routes = pods.iter().flat_map(|pod| pod.routes.values());
            routes.fold(0u64, |sum, route| sum.saturating_add(route.requests))
        };
        let (baseline, canary) = (sum(&cell.baseline), sum(&cell.canary));
        if cell.baseline.is_empty() || cell.canary.is_empty() {
            return;
        }
        if let Some(weight) = &mut self.weight {
            weight.count(canary, baseline.saturating_add(canary));
        }
        for (pods, is_canary) in [(&cell.baseline, false), (&cell.canary, true)] {
            for (name, route) in pods.iter().flat_map(|pod| &pod.routes) {
                let known = self.routes.len() < ROUTES_MAX || self.routes.contains_key(name);
                if !known {
                    continue;
                }
                let counts = self.routes.entry(Arc::clone(name)).or_default();
                let count = if is_canary {
                    &mut counts.1
                } else {
                    &mut counts.0
                };
                *count = count.saturating_add(route.requests);
            }
        }
    }

    /// What is odd, each with a chance of at most `risk` where it isn't.
    pub(super) fn notes(&self, risk: f64) -> impl Iterator<Item = String> {
        let weight = self.weight.as_ref().and_then(|weight| weight.note(risk));
        weight.into_iter().chain(self.missed(risk))
    }

    /// The routes that the canary never got although it should have.
    fn missed(&self, risk: f64) -> Option<String> {
        let sum = self.routes.values();
        let (baseline, canary) = sum.fold((0u64, 0u64), |(b, c), (of_b, of_c)| {
            (b.saturating_add(*of_b), c.saturating_add(*of_c))
        });
        // ln E against "at least a tenth of the share", whose likeliest count is none.
        let wanted = libm::log(self.routes.len().max(1) as f64 / risk);
        let share = |of_baseline: u64| of_baseline as f64 / baseline.max(1) as f64;
        let missed = self.routes.iter().filter(|(_, (of_baseline, of_canary))| {
            let expected = canary as f64 * share(*of_baseline) / ROUTE_TOLERANCE;
            *of_canary == 0 && expected >= wanted
        });
        let each = missed.map(|(name, (of_baseline, _))| (&**name, *of_baseline));
        let mut missed: Vec<(&str, u64)> = each.collect();
        missed.sort_by_key(|(_, of_baseline)| std::cmp::Reverse(*of_baseline));
        let (name, of_baseline) = *missed.first()?;
        Some(explain::missed_route(
            name,
            share(of_baseline),
            missed.len() - 1,
        ))
    }
}

impl Weight {
    fn new(share: f64) -> Self {
        let odds = share / (1.0 - share);
        let of = |odds: f64| odds / (1.0 + odds);
        Self {
            share,
            more: Bernoulli::by_odds(of(odds * TOLERANCE), &MORE),
            less: Bernoulli::by_odds(of(odds / TOLERANCE), &LESS),
            counted: (0, 0),
        }
    }

    fn count(&mut self, canary: u64, all: u64) {
        self.more.step(canary, all);
        self.less.step(canary, all);
        self.counted.0 = self.counted.0.saturating_add(canary);
        self.counted.1 = self.counted.1.saturating_add(all);
    }

    fn note(&self, risk: f64) -> Option<String> {
        // Two tests share the risk.
        let wanted = libm::log(2.0 / risk);
        let proved = |test: &Bernoulli| log_mean(test.log_e(), 1.0) >= wanted;
        let (canary, all) = self.counted;
        let share = canary as f64 / all.max(1) as f64;
        (proved(&self.more) || proved(&self.less)).then(|| explain::uneven(share, self.share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::RouteCell;

    fn cell(baseline: &[(&str, u64)], canary: &[(&str, u64)]) -> Cell {
        let pod = |routes: &[(&str, u64)]| {
            let routes = routes.iter().map(|(name, requests)| {
                let route = RouteCell {
                    requests: *requests,
                    ..RouteCell::default()
                };
                (Arc::from(*name), route)
            });
            vec![PodCell {
                pod: "p".into(),
                warm: true,
                coverage: 1.0,
                routes: routes.collect(),
                cpu_seconds: None,
                cpu_limit_cores: None,
            }]
        };
        Cell {
            index: 0,
            baseline: pod(baseline),
            canary: pod(canary),
        }
    }

    /// What is said after so many cells at a weight of 20 %.
    fn says(cells: u64, baseline: &[(&str, u64)], canary: &[(&str, u64)]) -> Vec<String> {
        let mut mix = Mix::default();
        mix.expect(Some(20.0));
        (0..cells).for_each(|_| mix.count(&cell(baseline, canary)));
        mix.notes(0.01).collect()
    }

    #[test]
    fn a_share_far_from_the_weight_is_said() {
        let none: [String; 0] = [];
        for canary in [100, 150, 200, 250, 390] {
            let said = says(60, &[("a", 800)], &[("a", canary)]);
            assert_eq!(said, none, "{canary} of 800: within twice the odds");
        }
        let said = says(60, &[("a", 800)], &[("a", 20)]);
        assert_eq!(
            said,
            ["the canary gets 2.439 % of the requests, its weight is 20 %"]
        );
        let said = says(60, &[("a", 800)], &[("a", 800)]);
        assert_eq!(
            said,
            ["the canary gets 50 % of the requests, its weight is 20 %"]
        );
        assert_eq!(
            says(3, &[("a", 800)], &[("a", 0)]),
            none,
            "three cells are no proof"
        );
        assert_eq!(says(8, &[("a", 800)], &[("a", 0)]).len(), 1);
    }

    #[test]
    fn a_route_that_never_comes_is_said() {
        let baseline = [("a", 700), ("b", 60), ("c", 40)];
        let check = |cells, canary: &[(&str, u64)], expected: &[&str]| {
            assert_eq!(says(cells, &baseline, canary), expected);
        };
        check(30, &[("a", 200), ("b", 1), ("c", 1)], &[]);
        check(
            30,
            &[("a", 200), ("b", 1)],
            &["the canary never got a request of c, 5 % of the \
                                               baseline's"],
        );
        check(
            60,
            &[("a", 200)],
            &["the canary never got a request of b, 7.5 % of the baseline's, nor of 1 more route"],
        );
        check(2, &[("a", 200)], &[]);
    }

    #[test]
    fn another_weight_begins_anew_and_none_says_nothing() {
        let mut mix = Mix::default();
        mix.expect(Some(20.0));
        (0..60).for_each(|_| mix.count(&cell(&[("a", 800)], &[("a", 20)])));
        mix.expect(Some(20.0));
        assert_eq!(mix.notes(0.01).count(), 1);
        mix.expect(Some(5.0));
        assert_eq!(mix.notes(0.01).count(), 0);
        for percent in [None, Some(0.0), Some(100.0), Some(f64::NAN)] {
            mix.expect(percent);
            assert!(mix.weight.is_none(), "{percent:?}");
        }
    }
}
