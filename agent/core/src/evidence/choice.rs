//! Which of the observed metrics is taken as the latency, the counter and the CPU time.

use std::collections::BTreeMap;
use std::fmt;

use davy_proto::indicator;
pub use davy_proto::indicator::Protocol;

use super::Origin;
use super::settings::EvidenceSettings;

/// Windows after which a source that was not seen again gives way to another one: a minute of 5 s,
/// longer than any usual scrape or export interval.
const ABANDON_WINDOWS: u32 = 12;

/// What a latency source is, best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Native or exponential histogram.
    Exponential,
    /// Classic histogram with explicit bounds.
    Classic,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exponential => "exponential histogram",
            Self::Classic => "classic histogram",
        })
    }
}

/// A metric that was taken, with what was found on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chosen {
    /// Name as observed.
    pub metric: String,
    /// Where it was observed.
    pub origin: Origin,
    /// What it is.
    pub kind: Kind,
    /// Attribute that holds the route, where one does.
    pub route: Option<String>,
    /// Attribute that holds the status, where one does.
    pub status: Option<String>,
    /// Exponential: the scale.
    pub scale: Option<i32>,
    /// Classic: the number of bounds.
    pub bounds: Option<usize>,
}

/// What is wanted of metrics.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Role {
    /// Duration histogram of a protocol.
    Duration(Protocol),
    /// Request counter of a protocol.
    Requests(Protocol),
    /// CPU seconds of the process.
    Cpu,
}

/// A metric that could be taken; the least one is the best.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Candidate {
    pub(super) kind: Kind,
    pub(super) origin: Origin,
    /// Place in the list of names.
    pub(super) rank: usize,
    pub(super) metric: String,
}

/// What is taken now.
#[derive(Debug)]
pub(super) struct Choices {
    /// Metric name to what it may be, and its place in the list.
    roles: BTreeMap<String, (Role, usize)>,
    taken: BTreeMap<Role, Taken>,
    /// Summaries seen under a duration's name: their quantiles can't be compared.
    pub(super) summaries: BTreeMap<Protocol, String>,
}

#[derive(Debug)]
struct Taken {
    candidate: Candidate,
    windows_ago: u32,
    details: Option<Chosen>,
}

impl Choices {
    pub(super) fn new(settings: &EvidenceSettings) -> Self {
        let mut roles = BTreeMap::new();
        let mut list = |role: Role, names: &mut dyn Iterator<Item = &str>| {
            for (rank, name) in names.enumerate() {
                roles.entry(name.to_owned()).or_insert((role, rank));
            }
        };
        for protocol in Protocol::ALL {
            let names = settings.names(protocol);
            list(
                Role::Duration(protocol),
                &mut names.duration.iter().map(String::as_str),
            );
            list(
                Role::Requests(protocol),
                &mut names.requests.iter().map(String::as_str),
            );
        }
        list(Role::Cpu, &mut indicator::CPU_SECONDS.iter().copied());
        Self {
            roles,
            taken: BTreeMap::new(),
            summaries: BTreeMap::new(),
        }
    }

    /// What a metric of that name may be, and its place in the list of names.
    pub(super) fn role(&self, metric: &str) -> Option<(Role, usize)> {
        self.roles.get(metric).copied()
    }

    /// Offers a candidate; says whether it is the one taken, and whether that is a change.
    pub(super) fn offer(&mut self, role: Role, candidate: &Candidate) -> Offer {
        match self.taken.get_mut(&role) {
            Some(taken) if taken.candidate == *candidate => {
                taken.windows_ago = 0;
                Offer::Taken
            }
            Some(taken)
                if *candidate >= taken.candidate && taken.windows_ago <= ABANDON_WINDOWS =>
            {
                Offer::Left
            }
            _ => {
                let candidate = candidate.clone();
                self.taken.insert(
                    role,
                    Taken {
                        candidate,
                        windows_ago: 0,
                        details: None,
                    },
                );
                Offer::Changed
            }
        }
    }

    /// Whether this metric is the one taken.
    pub(super) fn is_taken(&self, role: Role, candidate: &Candidate) -> bool {
        self.taken
            .get(&role)
            .is_some_and(|taken| taken.candidate == *candidate)
    }

    /// The origin of what is taken.
    pub(super) fn origin(&self, role: Role) -> Option<Origin> {
        self.taken.get(&role).map(|taken| taken.candidate.origin)
    }

    /// The name of what is taken.
    pub(super) fn metric(&self, role: Role) -> Option<&str> {
        self.taken
            .get(&role)
            .map(|taken| taken.candidate.metric.as_str())
    }

    /// What was found on the duration histogram of a protocol.
    pub(super) fn details(&self, protocol: Protocol) -> Option<&Chosen> {
        self.taken.get(&Role::Duration(protocol))?.details.as_ref()
    }

    /// Notes what was found on the duration histogram of a protocol.
    pub(super) fn describe(&mut self, protocol: Protocol, details: Chosen) {
        if let Some(taken) = self.taken.get_mut(&Role::Duration(protocol)) {
            taken.details = Some(details);
        }
    }

    /// Whether any protocol has a histogram.
    pub(super) fn has_histogram(&self) -> bool {
        Protocol::ALL.iter().any(|protocol| {
            let taken = self.taken.get(&Role::Duration(*protocol));
            taken.is_some_and(|taken| taken.windows_ago <= ABANDON_WINDOWS)
        })
    }

    /// A window has ended.
    pub(super) fn age(&mut self) {
        for taken in self.taken.values_mut() {
            taken.windows_ago = taken.windows_ago.saturating_add(1);
        }
    }
}

/// The answer to an offer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Offer {
    /// It is the one taken, as before.
    Taken,
    /// It is taken from now on.
    Changed,
    /// Another one is taken.
    Left,
}
