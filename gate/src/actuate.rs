//! The only place of the gate that changes the world.
//!
//! What is done comes from a plan of `gate/core` with an idempotency key; what may be done comes
//! from the gate's own configuration file, never from a policy. An action runs once a key: doing it
//! again after a crash must be harmless, and the key is handed to the command so that it can tell.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{error, info};

mod command;

pub use command::{CommandError, CommandTemplate, Facts};

/// How many keys of finished actions are remembered: more than there are rollouts in memory. Each
/// of them asks with its key at every look, so a key is never forgotten while it is asked with.
const DONE_KEYS_MAX: usize = 10_000;

/// What to run at a final verdict; nothing where a field is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Actuators {
    /// Runs once when the full rollout is approved.
    pub on_approve: Option<CommandTemplate>,
    /// Runs once when a rollback is ordered.
    pub on_rollback: Option<CommandTemplate>,
}

/// Which of the two to run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Occasion {
    /// The rollout was approved.
    Approve,
    /// The rollback was ordered.
    Rollback,
}

/// Runs actions, each key once.
#[derive(Debug, Default)]
pub struct Actuator {
    actuators: Actuators,
    done: Done,
}

/// The keys of actions that ran; beyond [`DONE_KEYS_MAX`] the one not asked with for longest is
/// forgotten.
#[derive(Debug, Default)]
struct Done {
    asked: BTreeMap<String, u64>,
    keys: BTreeMap<u64, String>,
    questions: u64,
}

impl Done {
    /// Remembers a key; whether it is new.
    fn insert(&mut self, key: &str) -> bool {
        self.questions += 1;
        let before = self.asked.insert(key.to_owned(), self.questions);
        if let Some(before) = before {
            self.keys.remove(&before);
        }
        self.keys.insert(self.questions, key.to_owned());
        if self.asked.len() > DONE_KEYS_MAX
            && let Some((_, longest)) = self.keys.pop_first()
        {
            self.asked.remove(&longest);
        }
        before.is_none()
    }
}

impl Actuator {
    /// An actuator that may run what `actuators` says and nothing else.
    pub fn new(actuators: Actuators) -> Self {
        Self {
            actuators,
            done: Done::default(),
        }
    }

    /// The run that is due for `occasion`, or nothing where none is configured or the key is done.
    pub fn due(&mut self, occasion: Occasion, facts: Facts) -> Option<Run> {
        let template = match occasion {
            Occasion::Approve => self.actuators.on_approve.clone(),
            Occasion::Rollback => self.actuators.on_rollback.clone(),
        }?;
        self.done
            .insert(&facts.idempotency_key)
            .then_some(Run { template, facts })
    }
}

/// One run of one command, to be awaited off the evaluation.
#[derive(Debug)]
pub struct Run {
    template: CommandTemplate,
    facts: Facts,
}

impl Run {
    /// Runs the command to its end or its deadline and logs how it went.
    pub async fn run(self) -> Result<(), CommandError> {
        let started = self.template.start(&self.facts);
        let result = match started {
            Ok(running) => running.finish().await,
            Err(error) => Err(error),
        };
        let key = &self.facts.idempotency_key;
        match &result {
            Ok(output) => info!(key, output = output.as_str(), "actuator command done"),
            Err(error) => error!(key, %error, "actuator command failed"),
        }
        result.map(|_| ())
    }
}

/// How long a command may take unless configured.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
