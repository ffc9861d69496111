//! Somebody else's program as a process that answers, a line for each question.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::{Context, anyhow};

use super::peers;

/// The process; it ends when dropped.
#[derive(Debug)]
pub struct Oracle {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Oracle {
    /// Builds the Go program `name` of `tests/peers`, unless it is built, and starts it.
    ///
    /// # Errors
    ///
    /// When it can't be built or started.
    pub fn start(name: &str) -> anyhow::Result<Self> {
        let program = peers::go_program(name, &peers::sources().join(name))?;
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("a pipe")?);
        Ok(Self {
            child,
            stdin,
            stdout,
        })
    }

    /// Asks so many questions at once; returns the lines of its answers.
    ///
    /// # Errors
    ///
    /// When it ends before it has answered them.
    pub fn exchange(&mut self, asked: &[u8], questions: usize) -> anyhow::Result<Vec<String>> {
        let stdin = self.stdin.as_mut().context("a pipe")?;
        let stdout = &mut self.stdout;
        thread::scope(|scope| {
            // A thread, for both pipes may be full.
            let writer = scope.spawn(move || stdin.write_all(asked));
            let mut lines = Vec::with_capacity(questions);
            for _ in 0..questions {
                let mut line = String::new();
                let length = stdout.read_line(&mut line).context("read an answer")?;
                if length == 0 {
                    break;
                }
                lines.push(line);
            }
            let written = writer.join().map_err(|_| anyhow!("the writer panicked"))?;
            written.context("ask")?;
            anyhow::ensure!(lines.len() == questions, "{} answers", lines.len());
            Ok(lines)
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
