//! Prometheus's package of rules, as a process.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use davy_tests::kit::peers;
use serde::Deserialize;
use serde_json::{Value, json};

use super::generate::{Generated, Set};

/// What it says of a list of rules.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    /// Why the rules are refused; empty when they are not.
    pub(super) error: String,
    /// What is left of each series; none of one that is dropped.
    pub(super) series: Option<Vec<Option<Set>>>,
}

/// The same, told apart.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) error: String,
    pub(super) series: Vec<Option<Set>>,
}

/// What it makes of characters in upper and in lower case, as far as they change.
#[derive(Debug, Deserialize)]
pub(super) struct Letters {
    pub(super) upper: BTreeMap<String, String>,
    pub(super) lower: BTreeMap<String, String>,
}

/// The process.
pub(super) struct Oracle {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Oracle {
    /// Builds it unless it is built, and starts it.
    pub(super) fn start() -> Self {
        let source = peers::sources().join("relabel");
        let program = peers::go_program("relabel", &source).expect("Prometheus's rules");
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle starts");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self {
            child,
            stdin,
            stdout,
        }
    }

    /// Asks about lists of rules and their series.
    pub(super) fn ask_all(&mut self, lists: &[(Vec<Generated>, Vec<Set>)]) -> Vec<Told> {
        let asked = lists.iter().map(|(rules, series)| {
            let rules: Vec<&Value> = rules.iter().map(|rule| &rule.json).collect();
            json!({"rules": rules, "series": series})
        });
        let lines = self.exchange(&asked.collect::<Vec<_>>());
        let told = lines.iter().map(|line| {
            let answer: Answer = serde_json::from_str(line).expect("an answer");
            Told {
                error: answer.error,
                series: answer.series.unwrap_or_default(),
            }
        });
        told.collect()
    }

    /// Asks about characters.
    pub(super) fn letters(mut self) -> Letters {
        let lines = self.exchange(&[json!({"letters": true})]);
        serde_json::from_str(&lines[0]).expect("an answer")
    }

    fn exchange(&mut self, asked: &[Value]) -> Vec<String> {
        let stdin = self.stdin.as_mut().expect("a pipe");
        let input: String = asked.iter().map(|line| format!("{line}\n")).collect();
        let stdout = &mut self.stdout;
        std::thread::scope(|scope| {
            // A thread, for both pipes may be full.
            let writer = scope.spawn(move || stdin.write_all(input.as_bytes()));
            let lines = asked.iter().map(|_| {
                let mut line = String::new();
                stdout.read_line(&mut line).expect("the oracle answers");
                line
            });
            let lines = lines.collect();
            writer.join().expect("no panic").expect("all is taken");
            lines
        })
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It ends with its input; killed too, so that a failed test leaves nothing running.
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
