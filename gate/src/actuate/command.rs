//! A command as actuator: an argument vector, no shell, with a deadline.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// How much of a command's output is kept for the log, in bytes.
const OUTPUT_BYTES_MAX: usize = 4096;
/// How long output is waited for once the command has ended: what it started in the background may
/// hold the pipe for ever.
const OUTPUT_WITHIN: Duration = Duration::from_millis(500);
/// The gate's own secrets, which no command needs.
const SECRETS: [&str; 1] = ["DAVY_GATE_TOKENS"];

/// What a command line may name in braces, and what its environment says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// Namespace of the service; empty where there is none.
    pub namespace: String,
    /// The service.
    pub service: String,
    /// Arm of the baseline.
    pub baseline: String,
    /// Arm of the canary.
    pub canary: String,
    /// `approve` or `rollback`.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// The same for the same decision, always.
    pub idempotency_key: String,
}

impl Facts {
    fn named(&self) -> [(&'static str, &str); 7] {
        [
            ("namespace", &self.namespace),
            ("service", &self.service),
            ("baseline", &self.baseline),
            ("canary", &self.canary),
            ("verdict", &self.verdict),
            ("reason", &self.reason),
            ("idempotency_key", &self.idempotency_key),
        ]
    }
}

/// A command line with placeholders such as `{canary}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommandTemplate {
    program: String,
    arguments: Vec<String>,
    timeout: Duration,
}

/// Why a command line is refused, or how its run failed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The list is empty.
    #[error("a command needs a program")]
    Empty,
    /// A placeholder that nothing stands for.
    #[error("unknown placeholder {{{0}}}")]
    UnknownPlaceholder(String),
    /// The program could not be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ran and did not succeed.
    #[error("{program} ended with {status}: {output}")]
    Failed {
        /// The program.
        program: String,
        /// Exit status as the system words it.
        status: String,
        /// The first of what it printed.
        output: String,
    },
    /// It did not end in time and was killed.
    #[error("{program} was killed after {seconds} s")]
    TimedOut {
        /// The program.
        program: String,
        /// The deadline in seconds.
        seconds: u64,
    },
    /// Its end could not be awaited.
    #[error("lost sight of the command")]
    Lost(#[source] std::io::Error),
}

impl CommandTemplate {
    /// Reads an argument vector.
    ///
    /// # Errors
    ///
    /// [`CommandError::Empty`] and [`CommandError::UnknownPlaceholder`].
    pub fn new(argv: &[String], timeout: Duration) -> Result<Self, CommandError> {
        let (program, arguments) = argv.split_first().ok_or(CommandError::Empty)?;
        let known = Facts::default();
        for argument in arguments {
            for name in placeholders(argument) {
                if !known.named().iter().any(|(key, _)| *key == name) {
                    return Err(CommandError::UnknownPlaceholder(name.to_owned()));
                }
            }
        }
        Ok(Self {
            program: program.clone(),
            arguments: arguments.to_vec(),
            timeout,
        })
    }

    /// The command line for `facts`: each placeholder stays within its argument.
    pub fn argv(&self, facts: &Facts) -> Vec<String> {
        let fill = |argument: &String| {
            let mut filled = String::with_capacity(argument.len());
            let mut rest = argument.as_str();
            while let Some((before, name, after)) = next_placeholder(rest) {
                let value = facts.named().into_iter().find(|(key, _)| *key == name);
                filled.push_str(before);
                filled.push_str(value.map_or("", |(_, value)| value));
                rest = after;
            }
            filled.push_str(rest);
            filled
        };
        std::iter::once(self.program.clone())
            .chain(self.arguments.iter().map(fill))
            .collect()
    }

    pub(super) fn start(&self, facts: &Facts) -> Result<Running, CommandError> {
        let argv = self.argv(facts);
        let mut command = Command::new(&self.program);
        command.args(argv.iter().skip(1));
        for secret in SECRETS {
            command.env_remove(secret);
        }
        for (name, value) in facts.named() {
            command.env(format!("DAVY_{}", name.to_uppercase()), value);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.kill_on_drop(true);
        let child = command.spawn().map_err(|source| CommandError::Start {
            program: self.program.clone(),
            source,
        })?;
        Ok(Running {
            child,
            program: self.program.clone(),
            timeout: self.timeout,
        })
    }
}

/// A command under way.
pub(super) struct Running {
    child: Child,
    program: String,
    timeout: Duration,
}

impl Running {
    pub(super) async fn finish(mut self) -> Result<String, CommandError> {
        let (out, err) = (Head::default(), Head::default());
        let read = [
            self.child.stdout.take().map(|pipe| out.read(pipe)),
            self.child.stderr.take().map(|pipe| err.read(pipe)),
        ];
        let work = async {
            let status = self.child.wait().await.map_err(CommandError::Lost)?;
            let read = read.into_iter().flatten();
            // What can't be waited for is read on by its task, so that nobody is killed by a
            // closed pipe.
            let _ = tokio::time::timeout(OUTPUT_WITHIN, join_all(read)).await;
            let output = out.text() + &err.text();
            Ok((status, output.trim().to_owned()))
        };
        let Ok(finished) = tokio::time::timeout(self.timeout, work).await else {
            return Err(CommandError::TimedOut {
                program: self.program,
                seconds: self.timeout.as_secs(),
            });
        };
        let (status, output) = finished?;
        if status.success() {
            return Ok(output);
        }
        Err(CommandError::Failed {
            program: self.program,
            status: status.to_string(),
            output,
        })
    }
}

/// The first bytes that a pipe gives; the rest is read and thrown away, so that the writer ends.
#[derive(Clone, Default)]
struct Head(Arc<Mutex<Vec<u8>>>);

impl Head {
    fn read(&self, mut pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<()> {
        let kept = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut scratch = [0; 1024];
            while let Ok(n @ 1..) = pipe.read(&mut scratch).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = OUTPUT_BYTES_MAX - kept.len();
                kept.extend(scratch.iter().take(n.min(room)));
            }
        })
    }

    fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

fn placeholders(argument: &str) -> impl Iterator<Item = &str> {
    let mut rest = argument;
    std::iter::from_fn(move || {
        let (_, name, after) = next_placeholder(rest)?;
        rest = after;
        Some(name)
    })
}

fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, after) = text.split_once('{')?;
    let (name, after) = after.split_once('}')?;
    Some((before, name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            service: "shop".to_owned(),
            canary: "v1.1.0; rm -rf {baseline}".to_owned(),
            verdict: "approve".to_owned(),
            idempotency_key: "k1".to_owned(),
            ..Facts::default()
        }
    }

    fn template(argv: &[&str], timeout: Duration) -> Result<CommandTemplate, CommandError> {
        let argv: Vec<String> = argv.iter().map(|&a| a.to_owned()).collect();
        CommandTemplate::new(&argv, timeout)
    }

    #[test]
    fn a_value_stays_one_argument_and_is_not_expanded_again() {
        let template = template(&["/bin/switch", "to={canary}", "{service}"], Duration::ZERO);
        let argv = template.expect("a good template").argv(&facts());
        assert_eq!(
            argv,
            ["/bin/switch", "to=v1.1.0; rm -rf {baseline}", "shop"]
        );
    }

    #[test]
    fn mistakes_in_a_template_are_named() {
        let check = |argv: &[&str], expected: &str| {
            let error = template(argv, Duration::ZERO).expect_err("a mistake");
            assert_eq!(error.to_string(), expected);
        };
        check(&[], "a command needs a program");
        check(&["x", "{cannary}"], "unknown placeholder {cannary}");
    }

    #[tokio::test]
    async fn a_run_reports_success_failure_and_deadline() {
        let run = async |argv: &[&str], timeout| {
            let template = template(argv, timeout).expect("a good template");
            match template.start(&facts()) {
                Ok(running) => running.finish().await.map_err(|e| e.to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        let long = Duration::from_secs(20);
        let key = run(&["/bin/sh", "-c", "echo $DAVY_IDEMPOTENCY_KEY"], long).await;
        assert_eq!(key, Ok("k1".to_owned()));
        let failed = run(&["/bin/sh", "-c", "echo no >&2; exit 3"], long).await;
        assert_eq!(
            failed,
            Err("/bin/sh ended with exit status: 3: no".to_owned())
        );
        let missing = run(&["/nonexistent/program"], long).await;
        assert_eq!(missing, Err("cannot start /nonexistent/program".to_owned()));
        let slow = run(&["/bin/sleep", "30"], Duration::from_millis(50)).await;
        assert_eq!(slow, Err("/bin/sleep was killed after 0 s".to_owned()));
    }

    /// A release that is started in the background holds the pipes; the command has succeeded.
    #[tokio::test]
    async fn a_command_that_leaves_a_process_behind_has_ended() {
        let argv = ["/bin/sh", "-c", "sleep 60 & echo started $!"];
        let template = template(&argv, Duration::from_secs(20)).expect("a good template");
        let running = template.start(&facts()).expect("it starts");
        let output = tokio::time::timeout(Duration::from_secs(10), running.finish()).await;
        let output = output.expect("in time").expect("success");
        let behind = output.strip_prefix("started ").expect("its id");
        let mut kill = std::process::Command::new("/bin/kill");
        assert!(
            kill.arg(behind).status().expect("kill").success(),
            "it lives on"
        );
    }

    /// More decisions than are remembered, while a first one is asked about at every look.
    #[test]
    fn a_key_that_is_asked_with_is_never_forgotten() {
        let template = template(&["x"], Duration::ZERO).expect("a good template");
        let mut actuator = super::super::Actuator::new(super::super::Actuators {
            on_approve: None,
            on_rollback: Some(template),
        });
        let mut due = |key: String| {
            let facts = Facts {
                idempotency_key: key,
                ..Facts::default()
            };
            actuator
                .due(super::super::Occasion::Rollback, facts)
                .is_some()
        };
        assert!(due("0-first".to_owned()));
        for n in 0..2 * super::super::DONE_KEYS_MAX {
            assert!(due(format!("a-{n}")), "{n}");
            assert!(!due("0-first".to_owned()), "after {n} others");
        }
    }

    #[test]
    fn a_key_runs_once() {
        let template = template(&["x"], Duration::ZERO).expect("a good template");
        let actuators = super::super::Actuators {
            on_approve: Some(template),
            on_rollback: None,
        };
        let mut actuator = super::super::Actuator::new(actuators);
        assert!(
            actuator
                .due(super::super::Occasion::Approve, facts())
                .is_some()
        );
        assert!(
            actuator
                .due(super::super::Occasion::Approve, facts())
                .is_none()
        );
        assert!(
            actuator
                .due(super::super::Occasion::Rollback, facts())
                .is_none()
        );
    }
}
