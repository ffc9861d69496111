//! Go's panics and fatal errors, joined to one record.
//!
//! Source: `runtime/traceback.go` and `runtime/panic.go` of Go 1.26: what is printed begins with
//! one of a few words, and every line after it has one of a few shapes.

/// What Go's runtime prints before it exits.
const STARTS: &[&str] = &[
    "panic: ",
    "fatal error: ",
    "runtime: ",
    "SIGQUIT: ",
    "unexpected fault",
];
/// Starts of lines that follow.
const FOLLOWS: &[&str] = &[
    "\t",
    "goroutine ",
    "created by ",
    "[signal ",
    "exit status ",
    "runtime.",
    "PC=",
    "rax ",
    "-----",
];

/// A crash that is being printed.
#[derive(Clone, Debug, Default)]
pub(super) struct Traceback {
    text: String,
    truncated: bool,
    /// Bytes of the file up to the end of its last line.
    end: u64,
}

impl Traceback {
    /// Whether a crash begins with this line.
    pub(super) fn begins(line: &str) -> bool {
        STARTS.iter().any(|start| line.starts_with(start))
    }

    /// Takes the line if it belongs to a crash that is being printed.
    pub(super) fn take(&mut self, line: &str, end: u64, bytes_max: usize) -> bool {
        let pending = self.is_pending();
        if !(Self::begins(line) || (pending && follows(line))) {
            return false;
        }
        self.end = end;
        self.truncated |= self.text.len() + 1 + line.len() > bytes_max;
        if !self.truncated {
            self.text.push_str(line);
            self.text.push('\n');
        }
        true
    }

    /// The crash as printed so far, where its last line ends, and whether it was cut.
    pub(super) fn finish(&mut self) -> Option<(String, u64, bool)> {
        let pending = self.is_pending();
        let Self {
            mut text,
            truncated,
            end,
        } = std::mem::take(self);
        text.truncate(text.trim_end().len());
        pending.then_some((text, end, truncated))
    }

    pub(super) const fn is_pending(&self) -> bool {
        self.end > 0
    }
}

fn follows(line: &str) -> bool {
    // `main.(*Server).handle(0xc000012345, {0x0, 0x0})`, `main.main()`, `main.f(...)`.
    let function = line.split('(').next().unwrap_or_default();
    let call = line.ends_with(')') && function.contains('.') && !function.contains([' ', '=', '{']);
    line.is_empty() || call || FOLLOWS.iter().any(|start| line.starts_with(start))
}
