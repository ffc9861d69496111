//! `davy-gate check`: scrape both arms, judge, and say so by the exit code.
//!
//! Every instance is scraped at the ends of the grid's cells, each page becomes evidence and
//! windows as in the agent and the gate, and a [`Session`] judges them. So a check differs from
//! `serve` in nothing but where the pages come from, and what `--record` writes replays to the same
//! verdict.

mod pace;
mod progress;
mod source;
mod target;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use davy_agent_core::exposition::{self, DEFAULT_LIMITS};
use davy_gate_core::attempt::Key;
use davy_gate_core::policy::Policy;
use davy_proto::UnixNanos;
use davy_proto::units::format_duration;
use davy_proto::verdict::{Evaluation, Verdict};
use davy_proto::window::Window;
use davy_transport::{Access, FetchError, Page, PageClient, PageOptions};
use futures_util::future::join_all;
use tokio::signal::unix::{SignalKind, signal};

use super::Usage;
use super::replay::read_policy;
use super::session::Session;
use super::summary::{self, Seen};
use crate::cli::Check;
use crate::policies;
use crate::record::Recorder;
use pace::Pace;
use progress::Progress;
use source::Source;
use target::{Side, Target, targets};

/// Nothing could be scraped (sysexits' `EX_UNAVAILABLE`).
const EXIT_UNAVAILABLE: u8 = 69;
/// An arm that didn't answer for so long won't.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A page without a metric of requests for so long has none, or nobody calls the instance.
const REQUESTS_WITHIN: Duration = Duration::from_secs(60);
/// The canary's first cell may begin that much before the check, which shifts its deadline.
const GIVE_UP_FIRST: Duration = Duration::from_secs(10);
/// What a deadline of the policy, which counts from the canary's first cell, may add to it.
const FIRST_CELL_WITHIN: Duration = Duration::from_secs(30);

/// Scrapes and judges until there is a verdict, and returns its exit code.
pub(super) async fn run(options: Check) -> anyhow::Result<ExitCode> {
    let plan = Plan::of(&options)?;
    let recorder = options.record.as_deref().map(|path| {
        let name = path.display();
        Recorder::file(path).map_err(|error| Usage(format!("cannot write {name}: {error}")))
    });
    let stderr = io::stderr();
    let is_colored = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let progress = Progress::new(stderr, is_colored);
    let mut check = Checking::new(plan, recorder.transpose()?, progress);
    let ended = check.until_the_end(Pace::Clock, stop_signal()?).await;
    let (mut out, seen) = (io::stdout().lock(), check.seen);
    match ended {
        Ended::Unavailable(reasons) => {
            eprintln!("davy-gate: nothing can be judged\n{}", reasons.join("\n"));
            Ok(ExitCode::from(EXIT_UNAVAILABLE))
        }
        Ended::Judged(evaluation) => {
            let text = summary::render(&evaluation, &seen, options.summary);
            let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            written.context("print the result")?;
            Ok(ExitCode::from(exit_code(evaluation.verdict)))
        }
    }
}

/// The codes that mean a verdict, and mean nothing else.
fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Approve => 0,
        Verdict::Rollback => 1,
        Verdict::Undecided => 2,
    }
}

/// Ctrl-C, or the script's own time limit.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("wait for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("wait for SIGTERM")?;
    Ok(async move {
        // Both branches are cancel-safe: a signal is heard or not.
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// What to scrape and how to judge it.
struct Plan {
    targets: Vec<Target>,
    client: PageClient,
    policy: Policy,
    /// Identity of the policy as it was read.
    identity: String,
    /// Give up after that long, whatever the policy says.
    give_up: Option<Duration>,
}

impl Plan {
    /// What the command line asks for.
    ///
    /// # Errors
    ///
    /// All its mistakes and those of the policy.
    fn of(options: &Check) -> anyhow::Result<Self> {
        let policy = options
            .policy
            .as_deref()
            .map_or(Ok(Policy::standard()), read_policy);
        let targets = targets(&options.baseline, &options.canary);
        let client = client(options);
        let give_up = match options.max_duration {
            Some(Duration::ZERO) => Err("--max-duration: must be above 0".to_owned()),
            given => Ok(given),
        };
        match (policy, targets, client, give_up) {
            (Ok(policy), Ok(targets), Ok(client), Ok(give_up)) => {
                let identity = policies::identity(&policy);
                Ok(Self {
                    targets,
                    client,
                    policy,
                    identity,
                    give_up,
                })
            }
            (policy, targets, client, give_up) => {
                let policy = policy.err().map(|error| error.to_string());
                let mistakes = [targets.err(), client.err(), give_up.err(), policy];
                let mistakes: Vec<String> = mistakes.into_iter().flatten().collect();
                Err(Usage(mistakes.join("\n")).into())
            }
        }
    }
}

/// Asks for pages as `davy-agent` does, so an app shows both the same.
///
/// # Errors
///
/// A file or header of the command line that is of no use.
fn client(options: &Check) -> Result<PageClient, String> {
    let client = PageClient::new(PageOptions {
        accept: exposition::ACCEPT,
        user_agent: concat!("davy-gate/", env!("CARGO_PKG_VERSION")),
        body_bytes_max: DEFAULT_LIMITS.body_bytes,
        connect_timeout: pace::TIMEOUT,
        access: Access::by_flags(options.ca_file.clone(), options.headers.clone()),
        socket: None,
    });
    client.map_err(|error| error.to_string())
}

/// How a check ended.
#[derive(Debug)]
enum Ended {
    /// With an answer, whatever it is.
    Judged(Box<Evaluation>),
    /// Without anything to judge: why, a line an arm.
    Unavailable(Vec<String>),
}

/// A check under way.
struct Checking<W> {
    sources: Vec<Source>,
    client: PageClient,
    session: Session,
    policy: Policy,
    give_up: Option<Duration>,
    recorder: Option<Recorder>,
    progress: Progress<W>,
    seen: Seen,
}

impl<W: Write> Checking<W> {
    fn new(plan: Plan, recorder: Option<Recorder>, progress: Progress<W>) -> Self {
        let Plan {
            targets,
            client,
            mut policy,
            identity,
            give_up,
        } = plan;
        let service = policy
            .service
            .clone()
            .unwrap_or_else(|| "service".to_owned());
        // Expectations are told apart by whether they come before the deadline; the flag's is kept
        // here, by the clock, so the policy's must not come before it.
        if let Some(give_up) = give_up {
            policy.timing.max_duration = give_up.saturating_add(GIVE_UP_FIRST);
        }
        let key = Key {
            namespace: String::new(),
            service: service.clone(),
            uid: String::new(),
            baseline: Side::Baseline.arm(),
            canary: Side::Canary.arm(),
        };
        let sources = targets
            .into_iter()
            .map(|target| Source::new(target, &service));
        Self {
            sources: sources.collect(),
            client,
            session: Session::new(key, policy.clone(), identity),
            policy,
            give_up,
            recorder,
            progress,
            seen: Seen::default(),
        }
    }

    /// Scrapes at the pace and judges until a verdict, the deadline, or `stop`.
    async fn until_the_end(&mut self, mut pace: Pace, stop: impl Future<Output = ()>) -> Ended {
        let started = pace.now();
        let deadline = started.plus(self.give_up.unwrap_or_else(|| {
            let timing = self.policy.timing;
            let judged = timing.max_duration.saturating_add(timing.bake);
            judged.saturating_add(FIRST_CELL_WITHIN)
        }));
        self.announce();
        tokio::pin!(stop);
        let mut looked = false;
        loop {
            // Both branches are cancel-safe: a scrape cut off is not counted.
            let pages = tokio::select! {
                () = &mut stop => return self.conclude("interrupted"),
                pages = self.next_pages(&mut pace, deadline, looked) => pages,
            };
            let Some((at, pages)) = pages else {
                return self.give_up(started, deadline);
            };
            if looked {
                self.count(at, pages, started);
            } else {
                self.look(at, pages);
                looked = true;
            }
            let answer = self.session.evaluate();
            let late = answer.verdict == Verdict::Undecided
                && answer.elapsed_seconds >= self.policy.timing.max_duration.as_secs();
            if answer.is_final || (late && self.give_up.is_none()) {
                return Ended::Judged(Box::new(answer));
            }
            if let Some(reasons) = self.unavailable(at.since(started)) {
                return Ended::Unavailable(reasons);
            }
        }
    }

    /// The next pages, at the end of a cell; the first ones at once, to see what is there. None
    /// when the deadline comes before.
    async fn next_pages(
        &self,
        pace: &mut Pace,
        deadline: UnixNanos,
        looked: bool,
    ) -> Option<(UnixNanos, Vec<Result<Page, FetchError>>)> {
        let at = if looked {
            pace.next(deadline).await?
        } else {
            pace.now()
        };
        let fetches = self
            .sources
            .iter()
            .map(|source| self.client.fetch(&source.target.url, pace.timeout()));
        Some((at, join_all(fetches).await))
    }

    fn announce(&mut self) {
        let timing = self.policy.timing;
        let (least, most) = (
            timing.min_duration,
            self.give_up.unwrap_or(timing.max_duration),
        );
        if least > most {
            let (least, most) = (format_duration(least), format_duration(most));
            self.progress.note(&format!(
                "an approval takes at least {least} by the policy: within {most} only a rollback \
                 can be decided"
            ));
        }
    }

    /// Looks at the first pages: they don't count, they say what can be judged.
    fn look(&mut self, at: UnixNanos, pages: Vec<Result<Page, FetchError>>) {
        for (source, page) in self.sources.iter_mut().zip(pages) {
            source.probe(page, at);
        }
        self.progress.found(&self.sources, &self.policy);
    }

    fn count(&mut self, at: UnixNanos, pages: Vec<Result<Page, FetchError>>, started: UnixNanos) {
        for (at_source, page) in pages.into_iter().enumerate() {
            let Some(source) = self.sources.get_mut(at_source) else {
                continue;
            };
            let before = source.failing.is_some();
            let windows = source.take(page, at);
            self.progress.changed(source, before);
            for window in windows {
                self.seen.add(&window, source.target.side == Side::Canary);
                self.session.take(&window);
                record(&mut self.recorder, &window, &mut self.progress);
            }
        }
        self.session.advance(at, |_| {});
        let answer = self.session.evaluate();
        self.progress.step(at.since(started), &answer, &self.seen);
    }

    /// The time given on the command line, or the policy's without a canary, is over.
    fn give_up(&mut self, started: UnixNanos, deadline: UnixNanos) -> Ended {
        match self.unavailable(Duration::MAX) {
            Some(reasons) => Ended::Unavailable(reasons),
            None => {
                let after = format_duration(deadline.since(started));
                self.conclude(&format!("gave up after {after}"))
            }
        }
    }

    /// What is known now is all: undecided, and why.
    fn conclude(&mut self, why: &str) -> Ended {
        let mut answer = self.session.evaluate();
        if !answer.is_final {
            answer.verdict = Verdict::Undecided;
            let reason = answer
                .reason
                .strip_prefix("undecided: ")
                .unwrap_or(&answer.reason);
            answer.reason = format!("{why}: {reason}");
        }
        Ended::Judged(Box::new(answer))
    }

    /// Why nothing can be judged after so long, an arm a line; none while there is hope.
    fn unavailable(&self, after: Duration) -> Option<Vec<String>> {
        let mut reasons = Vec::new();
        for side in Side::ALL {
            let of_side = || {
                self.sources
                    .iter()
                    .filter(|source| source.target.side == side)
            };
            if of_side().all(|source| source.report.is_none()) {
                if after >= ANSWER_WITHIN {
                    reasons.extend(of_side().map(progress::why_silent));
                }
            } else if !of_side().any(Source::has_requests) && after >= REQUESTS_WITHIN {
                reasons.extend(of_side().map(progress::why_not_judgeable));
            }
        }
        (!reasons.is_empty()).then_some(reasons)
    }
}

/// Writes the window; a full disk ends the recording, not the check.
fn record<W: Write>(recorder: &mut Option<Recorder>, window: &Window, progress: &mut Progress<W>) {
    let written = recorder
        .as_mut()
        .map_or(Ok(()), |recorder| recorder.write(window));
    if let Err(error) = written {
        progress.note(&format!("the evidence is no longer recorded: {error}"));
        *recorder = None;
    }
}

#[cfg(test)]
mod tests;
