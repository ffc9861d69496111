//! Go's panics, fatal errors and stack dumps, joined to one record.
//!
//! Source: `runtime/traceback.go`, `runtime/panic.go` and `runtime/signal_unix.go` of Go 1.26, and
//! `net/http`, which recovers the panics of handlers and prints their stacks: what is printed
//! begins with one of a few words, and every line after it has one of a few shapes.

use super::severity;

/// What Go's runtime prints before it exits.
const FATAL: &[&str] = &["panic: ", "fatal error: ", "unexpected fault "];
/// What it prints before that.
const NOTICE: &str = "runtime: ";
/// What `net/http` logs when a handler panicked, behind the stamp of the standard logger.
const RECOVERED: &str = "http: panic serving ";
/// Longest stamp and prefix before [`RECOVERED`], in bytes.
const PREFIX_BYTES_MAX: usize = 128;
/// Starts of lines that follow.
const FOLLOWS: &[&str] = &[
    "\t",
    "goroutine ",
    "created by ",
    "panic(",
    "[signal ",
    "[originating from goroutine ",
    "signal arrived during ",
    "exit status ",
    "runtime.",
    "runtime stack:",
    "stack: frame=",
    "PC=",
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

/// A crash as it was printed.
#[derive(Debug, PartialEq)]
pub(super) struct Crash {
    pub(super) text: String,
    /// Bytes of the file up to the end of its last line.
    pub(super) end: u64,
    /// Whether it was longer than the limit and has been cut.
    pub(super) truncated: bool,
}

impl Traceback {
    /// Whether a crash begins with this line.
    pub(super) fn begins(line: &str) -> bool {
        line.starts_with(NOTICE)
            || is_fatal(line)
            || is_goroutine(line)
            || recovered(line).is_some()
    }

    /// Takes the line if it belongs to a crash that is being printed.
    pub(super) fn take(&mut self, line: &str, end: u64, bytes_max: usize) -> bool {
        if !(Self::begins(line) || (self.is_pending() && follows(line))) {
            return false;
        }
        self.end = end;
        if self.truncated {
            return true;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
        self.truncated = self.text.len() > bytes_max;
        if self.truncated {
            let mut room = bytes_max;
            while !self.text.is_char_boundary(room) {
                room -= 1;
            }
            self.text.truncate(room);
        }
        true
    }

    /// The crash as printed so far.
    pub(super) fn finish(&mut self) -> Option<Crash> {
        let pending = self.is_pending();
        let Self {
            mut text,
            truncated,
            end,
        } = std::mem::take(self);
        text.truncate(text.trim_end().len());
        pending.then_some(Crash {
            text,
            end,
            truncated,
        })
    }

    pub(super) const fn is_pending(&self) -> bool {
        self.end > 0
    }
}

/// Severity of a crash; none of a stack that was merely printed.
pub(super) fn severity_of(crash: &str) -> Option<i32> {
    if crash.lines().any(is_fatal) {
        return Some(severity::CRASH);
    }
    let first = crash.lines().next().unwrap_or_default();
    recovered(first).map(|_| severity::RECOVERED)
}

fn is_fatal(line: &str) -> bool {
    FATAL.iter().any(|start| line.starts_with(start)) || is_signal(line)
}

/// `SIGABRT: abort`.
fn is_signal(line: &str) -> bool {
    let name = line
        .strip_prefix("SIG")
        .and_then(|rest| rest.split_once(": "));
    name.is_some_and(|(name, _)| {
        (2..=8).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_uppercase())
    })
}

/// `goroutine 1 [running]:`, `goroutine 1 gp=0x3fc6ff1841e0 m=0 mp=0xa0d440 [running]:`.
fn is_goroutine(line: &str) -> bool {
    let rest = line.strip_prefix("goroutine ");
    rest.is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_digit())
            && rest.contains(" [")
            && rest.ends_with("]:")
    })
}

/// What comes before [`RECOVERED`], where that is a stamp and not a line of another format.
fn recovered(line: &str) -> Option<&str> {
    let at = memchr::memmem::find(line.as_bytes(), RECOVERED.as_bytes())?;
    let before = line.get(..at)?;
    let plain = before.len() <= PREFIX_BYTES_MAX && !before.contains(['"', '{', '=']);
    plain.then_some(before)
}

fn follows(line: &str) -> bool {
    line.is_empty()
        || FOLLOWS.iter().any(|start| line.starts_with(start))
        || is_call(line)
        || is_register(line)
        || (line.starts_with("...") && line.ends_with("..."))
}

/// `main.(*Server).handle(0xc000012345, {0x0, 0x0})`, `main.main()`, `main.f(...)`.
fn is_call(line: &str) -> bool {
    let function = line.split('(').next().unwrap_or_default();
    line.ends_with(')') && function.contains('.') && !function.contains([' ', '=', '{'])
}

/// `rax    0x0`.
fn is_register(line: &str) -> bool {
    let Some((name, value)) = line.split_once([' ', '\t']) else {
        return false;
    };
    let value = value.trim_start().strip_prefix("0x").unwrap_or_default();
    (1..=8).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !value.is_empty()
        && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}
