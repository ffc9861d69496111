//! The evidence task at work.

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::GateConfig;
use crate::evidence::{EvidenceState, EvidenceTask, OBSERVATIONS_MAX};
use crate::pipeline::Intake;

/// The gate's evidence, if there is a gate.
#[derive(Debug, Default)]
pub(crate) struct Gate(Option<Task>);

#[derive(Debug)]
struct Task {
    config: GateConfig,
    state: EvidenceState,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Gate {
    /// Its configuration and state, when there is a gate.
    pub(crate) fn state(&self) -> Option<(&GateConfig, &EvidenceState)> {
        self.0.as_ref().map(|task| (&task.config, &task.state))
    }

    /// Replaces the task when its configuration differs; returns whether it did.
    pub(super) fn replace(
        &mut self,
        wanted: Option<&GateConfig>,
        intake: &Intake,
    ) -> anyhow::Result<bool> {
        if self.0.as_ref().map(|task| &task.config) == wanted {
            return Ok(false);
        }
        let started = match wanted {
            Some(config) => {
                let (sender, observations) = mpsc::channel(OBSERVATIONS_MAX);
                let (stop, stopped) = oneshot::channel();
                let state = EvidenceState::default();
                let task = EvidenceTask {
                    settings: config.evidence.clone(),
                    client: config.destination.client()?,
                    telemetry: intake.telemetry().clone(),
                    state: state.clone(),
                };
                intake.set_evidence(Some(sender));
                let task = tokio::spawn(task.run(observations, async {
                    // An error means that nobody is left to stop it: stop.
                    let _ = stopped.await;
                }));
                Some(Task {
                    config: config.clone(),
                    state,
                    stop,
                    task,
                })
            }
            None => {
                intake.set_evidence(None);
                None
            }
        };
        if let Some(old) = std::mem::replace(&mut self.0, started) {
            // It sends what it has closed, and ends.
            let _ = old.stop.send(());
        }
        Ok(true)
    }

    /// Sends what is closed, and ends.
    pub(super) async fn stop(&mut self) {
        if let Some(task) = self.0.take() {
            let _ = task.stop.send(());
            let _ = task.task.await;
        }
    }
}
