//! What a subject is given to do: lines in a file and spans over OTLP, at a fixed pace.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use davy_tests::kit::sender::Spans;
use tokio::time::Instant;

/// Log lines a second, and spans a second.
pub(super) const RATE: u64 = 100;
/// Bytes of a log line, its end included.
pub(super) const LINE_BYTES: usize = 250;
/// Bytes of the text in each span.
const SPAN_TEXT_BYTES: usize = 150;
/// How often lines are written.
const TICK: Duration = Duration::from_millis(100);

/// What was produced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Produced {
    /// Log lines.
    pub(super) lines: u64,
    /// Spans that were taken.
    pub(super) spans: u64,
}

/// Writes lines to `log` every tenth of a second, and sends spans to `authority` every second.
///
/// # Errors
///
/// When the file can't be written or a span is refused.
pub(super) async fn produce(log: &Path, authority: &str, seconds: u64) -> anyhow::Result<Produced> {
    let mut file = File::options().create(true).append(true).open(log)?;
    let mut sender = Spans::to(authority)?;
    sender.padding = SPAN_TEXT_BYTES;
    let begin = Instant::now();
    let mut lines = 0;
    for tick in 1..=seconds * 10 {
        let text: String = (lines..lines + RATE / 10).map(line).collect();
        file.write_all(text.as_bytes()).context("write lines")?;
        lines += RATE / 10;
        if tick % 10 == 0 {
            sender.send(RATE).await?;
        }
        let tick = u32::try_from(tick).context("too long")?;
        tokio::time::sleep_until(begin + TICK * tick).await;
    }
    anyhow::ensure!(sender.refused == 0, "{} spans refused", sender.refused);
    let spans = sender.accepted;
    Ok(Produced { lines, spans })
}

/// Line `n` as `log/slog` writes it, padded to its length.
fn line(n: u64) -> String {
    let head = format!(
        "{{\"time\":\"2026-11-24T10:00:00.123456789Z\",\"level\":\"INFO\",\
         \"msg\":\"request answered\",\"route\":\"/api/v1/things/{{id}}\",\"status\":200,\
         \"n\":{n},\"trace_id\":\"4bf92f3577b34da6a3ce929d{n:08x}\",\"user_agent\":\""
    );
    let tail = "\"}\n";
    let padding = LINE_BYTES.saturating_sub(head.len() + tail.len());
    format!("{head}{}{tail}", "x".repeat(padding))
}
