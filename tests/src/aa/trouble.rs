//! What goes wrong on purpose while instances are recorded: drawn beforehand, by a seed.

use std::time::Duration;

use davy_gate_sim::chance::Chance;

/// Between two restarts, on average.
const RESTART_EVERY: Duration = Duration::from_secs(10 * 60);
/// Between two visits of the neighbour, on average.
const NEIGHBOUR_EVERY: Duration = Duration::from_secs(4 * 60);
/// Shortest and longest visit.
const NEIGHBOUR_SECONDS: [f64; 2] = [5.0, 60.0];

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trouble {
    /// Since the beginning of the part.
    pub(super) at: Duration,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Something else keeps a core busy.
    Neighbour { seconds: u64 },
    /// An instance is restarted, by its index.
    Restart { instance: usize },
}

/// The troubles of `length`, in their order: restarts of one of `instances`, and neighbours, each
/// at random as a Poisson process.
pub(super) fn plan(length: Duration, instances: usize, chance: &mut Chance) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for at in moments(RESTART_EVERY, length, chance) {
        let instance = (chance.uniform() * instances as f64) as usize;
        let kind = Kind::Restart { instance };
        troubles.push(Trouble { at, kind });
    }
    for at in moments(NEIGHBOUR_EVERY, length, chance) {
        let [least, most] = NEIGHBOUR_SECONDS;
        let seconds = (least + chance.uniform() * (most - least)) as u64;
        let kind = Kind::Neighbour { seconds };
        troubles.push(Trouble { at, kind });
    }
    troubles.sort_by_key(|trouble| trouble.at);
    troubles
}

fn moments(every: Duration, length: Duration, chance: &mut Chance) -> Vec<Duration> {
    let mut found = Vec::new();
    let mut at = every.mul_f64(chance.exponential());
    while at < length {
        found.push(at);
        at += every.mul_f64(chance.exponential());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_come_as_often_as_said() {
        let length = Duration::from_secs(100 * 3600);
        let troubles = plan(length, 10, &mut Chance::new(1, 2));
        assert!(troubles.is_sorted_by_key(|trouble| trouble.at));
        assert!(troubles.iter().all(|trouble| trouble.at < length));
        let mut restarts = [0_u32; 10];
        let mut seconds = Vec::new();
        for trouble in &troubles {
            match trouble.kind {
                Kind::Restart { instance } => restarts[instance] += 1,
                Kind::Neighbour { seconds: s } => seconds.push(s),
            }
        }
        // Poisson of mean 600 and 1500: six standard deviations.
        let all: u32 = restarts.iter().sum();
        assert!((450..750).contains(&all), "{restarts:?}");
        assert!(restarts.iter().all(|n| *n > 20), "{restarts:?}");
        assert!((1270..1730).contains(&seconds.len()), "{}", seconds.len());
        assert!(seconds.iter().all(|s| (5..=60).contains(s)));
    }
}
