//! What latency can't know from its configuration.

use serde::{Deserialize, Serialize};

use super::super::component;
use super::{Exposure, Ladder, Latency, Rolling};
use crate::sketch::Sketch;

/// The saved state of the latency objective.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(in crate::judge) struct Saved {
    rolling: Rolling,
    harm: Vec<component::Saved>,
    routes: Vec<Vec<component::Saved>>,
    safe: Vec<Vec<f64>>,
    ladder: Ladder,
    exposure: Exposure,
    route_exposures: Vec<Exposure>,
    cells: u64,
    cells_of_step: u64,
    observed: (Sketch, Sketch),
    traffic: (f64, f64),
    pods: (usize, usize),
}

impl Latency {
    pub(in crate::judge) fn save(&self) -> Saved {
        let routes = self.routes.iter();
        Saved {
            rolling: self.rolling.clone(),
            harm: self.harm.iter().map(|c| c.counts.save()).collect(),
            routes: routes
                .map(|route| route.iter().map(|c| c.counts.save()).collect())
                .collect(),
            safe: self.safe.clone(),
            ladder: self.ladder.clone(),
            exposure: self.exposure.clone(),
            route_exposures: self.route_exposures.clone(),
            cells: self.cells,
            cells_of_step: self.cells_of_step,
            observed: self.observed.clone(),
            traffic: self.traffic,
            pods: self.pods,
        }
    }

    /// Goes on from what was saved, routes and form being as they were; false when that is of
    /// another configuration.
    #[must_use]
    pub(in crate::judge) fn restore(&mut self, saved: Saved) -> bool {
        let lengths = |sums: &[Vec<f64>]| sums.iter().map(Vec::len).collect::<Vec<_>>();
        let routes = self.routes.iter().map(Vec::len);
        let fits = saved.harm.len() == self.harm.len()
            && saved.routes.iter().map(Vec::len).eq(routes)
            && saved.route_exposures.len() == self.route_exposures.len()
            && lengths(&saved.safe) == lengths(&self.safe)
            && saved.ladder.fits(&self.ladder);
        let routes = self.routes.iter_mut().flatten();
        let components = self.harm.iter_mut().chain(routes);
        let parts = saved
            .harm
            .into_iter()
            .chain(saved.routes.into_iter().flatten());
        let all_fit = components.zip(parts).fold(fits, |fits, (component, part)| {
            component.counts.restore(part) && fits
        });
        self.rolling = saved.rolling;
        self.safe = saved.safe;
        self.ladder = saved.ladder;
        self.exposure = saved.exposure;
        self.route_exposures = saved.route_exposures;
        (self.cells, self.cells_of_step) = (saved.cells, saved.cells_of_step);
        self.observed = saved.observed;
        (self.traffic, self.pods) = (saved.traffic, saved.pods);
        all_fit
    }
}
