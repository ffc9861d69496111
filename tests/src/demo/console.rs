//! What the demo prints: colour on a terminal, plain lines without one.

use std::io::IsTerminal;
use std::time::Instant;

/// Writes to standard output.
pub(super) struct Console {
    began: Instant,
    colour: bool,
}

impl Console {
    pub(super) fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            began: Instant::now(),
            colour,
        }
    }

    /// The heading of a part, with the time since the beginning.
    pub(super) fn title(&self, text: &str) {
        let seconds = self.began.elapsed().as_secs();
        let stamp = format!("[{:2}:{:02}]", seconds / 60, seconds % 60);
        if self.colour {
            println!("\n\x1b[2m{stamp}\x1b[0m \x1b[1m{text}\x1b[0m");
        } else {
            println!("\n{stamp} {text}");
        }
    }

    /// A line as it is.
    pub(super) fn say(&self, text: &str) {
        println!("{text}");
    }

    /// A line of a running rollout, with the verdict in its colour.
    pub(super) fn progress(&self, line: &str, verdict: &str) {
        let seconds = self.began.elapsed().as_secs();
        let stamp = format!("[{:2}:{:02}]", seconds / 60, seconds % 60);
        let code = match verdict {
            "approve" => "32",
            "rollback" => "31",
            _ => "33",
        };
        if self.colour {
            println!("\x1b[2m{stamp}\x1b[0m {line} \x1b[{code}m{verdict}\x1b[0m");
        } else {
            println!("{stamp} {line} {verdict}");
        }
    }
}
