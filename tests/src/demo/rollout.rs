//! One act: a canary beside the stable release, judged until the gate decides.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use davy_proto::verdict::{Evaluation, Objective, Verdict};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, interval, sleep};

use super::console::Console;
use super::fleet::{CpuReading, Fleet, retire};
use super::site::{Release, Site};
use super::{CANARY_WEIGHT, HISTORY, RATE, STABLE, STABLE_INSTANCES, STABLE_RATE};
use crate::kit::load::{Load, Plan, Tally};
use crate::kit::process::wait_until;

/// How often the gate is asked, as Argo would.
const POLL: Duration = Duration::from_secs(5);
/// A process's first seconds cost more than its others; the policy leaves them out too.
const WARM_UP: Duration = Duration::from_secs(10);
/// How long an act may take at the most.
const ACT_MAX: Duration = Duration::from_secs(300);
/// How long the actuator may take after the verdict.
const SWITCH_MAX: Duration = Duration::from_secs(20);

/// What an act needs.
pub(super) struct Act<'a> {
    pub(super) site: &'a Site,
    pub(super) load: &'a Load,
    pub(super) console: &'a Console,
    pub(super) release: &'a Release,
    pub(super) expected: &'static str,
}

/// How an act ended.
pub(super) struct Ending {
    version: &'static str,
    expected: &'static str,
    evaluation: Evaluation,
    canary: Tally,
    stable: Tally,
    /// Shares of the CPU limit, stable and canary, in the same time as the tallies.
    cpu: Option<[f64; 2]>,
}

/// What was seen from outside while the gate judged.
struct Seen {
    evaluation: Evaluation,
    tallies: [Tally; 2],
    cpu: Option<[f64; 2]>,
}

impl Act<'_> {
    pub(super) async fn play(&self, fleet: &mut Fleet) -> anyhow::Result<Ending> {
        let baseline = self.site.current_version()?;
        let seconds = HISTORY.as_secs();
        self.console.title(&format!(
            "{baseline} runs alone for {seconds} s, so that the gate learns how its instances vary"
        ));
        self.load.change(Plan {
            rate: STABLE_RATE,
            targets: fleet.targets(0.0),
        });
        for _ in 0..seconds / 20 {
            sleep(Duration::from_secs(20)).await;
            fleet.check()?;
            let tally = self.load.take().swap_remove(STABLE);
            self.console
                .say(&format!("        {}", traffic("stable", &tally)));
        }
        let version = self.release.version;
        self.console.title(&format!(
            "Canary {version}: {RATE} requests/s, {:.0} % of them to it",
            CANARY_WEIGHT * 100.0
        ));
        fleet.start_canary(self.release)?;
        self.load.take();
        self.load.change(Plan {
            rate: RATE,
            targets: fleet.targets(CANARY_WEIGHT),
        });
        let Seen {
            evaluation,
            tallies: [stable, canary],
            cpu,
        } = self.watch(fleet, &baseline).await?;
        self.console.say(&format!("        {}", evaluation.reason));
        self.carry_out(fleet, &baseline, evaluation.verdict)?;
        Ok(Ending {
            version,
            expected: self.expected,
            evaluation,
            canary,
            stable,
            cpu,
        })
    }

    /// Asks the gate until its verdict is final, printing a line each time.
    async fn watch(&self, fleet: &mut Fleet, baseline: &str) -> anyhow::Result<Seen> {
        let began = Instant::now();
        let mut ticks = interval(POLL);
        let mut totals: Option<Vec<Tally>> = None;
        let mut cpu: Option<(CpuReading, CpuReading)> = None;
        loop {
            ticks.tick().await;
            let taken = self.load.take();
            let reading = fleet.cpu()?;
            let evaluation = evaluate(fleet.gate_http(), baseline, self.release.version).await?;
            let objectives: Vec<_> = evaluation.objectives.iter().map(objective).collect();
            let rate = taken.iter().map(|tally| tally.requests).sum::<u64>() / POLL.as_secs();
            let line = format!("{rate:3} req/s  {}", objectives.join("  "));
            self.console.progress(&line, word(evaluation.verdict));
            match &mut totals {
                None => totals = Some(taken),
                Some(totals) => totals
                    .iter_mut()
                    .zip(&taken)
                    .for_each(|(sum, t)| add(sum, t)),
            }
            if evaluation.is_final {
                let totals = totals.unwrap_or_default();
                let tallies = <[Tally; 2]>::try_from(totals)
                    .ok()
                    .context("two groups of load")?;
                return Ok(Seen {
                    evaluation,
                    tallies,
                    cpu: cpu.map(|(first, last)| last.shares_since(&first)),
                });
            }
            // The last reading is one before the verdict, after which the canary may be stopped.
            if began.elapsed() >= WARM_UP {
                cpu = Some((cpu.map_or(reading, |(first, _)| first), reading));
            }
            if began.elapsed() > ACT_MAX {
                bail!("no verdict after {ACT_MAX:?}: {}", evaluation.reason);
            }
            if evaluation.verdict == Verdict::Undecided {
                fleet.check()?;
            }
        }
    }

    /// Sees what the gate's actuator did, and goes on from there.
    fn carry_out(&self, fleet: &mut Fleet, baseline: &str, verdict: Verdict) -> anyhow::Result<()> {
        let version = self.release.version;
        if verdict == Verdict::Approve {
            wait_until("the link `current` to move", SWITCH_MAX, || {
                self.site
                    .current_version()
                    .ok()
                    .filter(|current| current == version)
            })?;
            self.console.say(&format!(
                "        current -> {version}; the instances restart on it"
            ));
            let mut retired = fleet.start_stable(self.release, STABLE_INSTANCES)?;
            retired.extend(fleet.take_canary());
            self.load.change(Plan {
                rate: STABLE_RATE,
                targets: fleet.targets(0.0),
            });
            retire(retired)?;
        } else {
            self.load.change(Plan {
                rate: STABLE_RATE,
                targets: fleet.targets(0.0),
            });
            fleet.await_canary_stopped()?;
            let current = self.site.current_version()?;
            ensure!(current == baseline, "current moved to {current}");
            self.console.say(&format!(
                "        the canary is stopped, current -> {current} stays"
            ));
        }
        Ok(())
    }
}

impl Ending {
    pub(super) fn summary(&self) -> String {
        let evaluation = &self.evaluation;
        let objective = |name: &str| evaluation.objectives.iter().find(|o| o.name == name);
        let (latency, cpu) = (objective("latency"), objective("cpu"));
        let gate =
            |value: Option<f64>| value.map_or_else(|| "–".into(), |s| format!("{:.0}", s * 1e3));
        let ratio = cpu.and_then(|cpu| cpu.ratio);
        let ratio = ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}"));
        let [stable_cpu, canary_cpu] = self.cpu.unwrap_or([f64::NAN; 2]).map(|s| 100.0 * s);
        format!(
            "  {}: {} after {} s and {} canary requests\n    P99 seen by clients: stable {:.0} ms, \
             canary {:.0} ms; by the gate: {} ms, {} ms\n    CPU of its limit, as Linux counts it: \
             stable {stable_cpu:.0} %, canary {canary_cpu:.0} %; by the gate: ×{ratio} a request",
            self.version,
            word(evaluation.verdict),
            evaluation.elapsed_seconds,
            self.canary.requests,
            self.stable.quantile_ms(0.99),
            self.canary.quantile_ms(0.99),
            gate(latency.and_then(|l| l.baseline)),
            gate(latency.and_then(|l| l.canary)),
        )
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        let verdict = word(self.evaluation.verdict);
        ensure!(
            verdict == self.expected,
            "{} was to end in {}, and ended in {verdict}: {}",
            self.version,
            self.expected,
            self.evaluation.reason
        );
        Ok(())
    }
}

async fn evaluate(gate: &str, baseline: &str, canary: &str) -> anyhow::Result<Evaluation> {
    let ask = serde_json::json!({"service": "shop", "baseline": baseline, "canary": canary});
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{gate}/v1/evaluate"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(ask.to_string())))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.context("ask the gate")?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    ensure!(status.is_success(), "the gate answered {status}: {text}");
    let mut answer: serde_json::Value = serde_json::from_str(&text)?;
    serde_json::from_value(answer["data"].take()).context("read the gate's answer")
}

fn objective(objective: &Objective) -> String {
    let bound = |b: Option<f64>| b.map_or_else(|| "?".to_owned(), |b| format!("{b:.2}"));
    let ratio = objective
        .ratio
        .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
    let (low, high) = (bound(objective.low), bound(objective.high));
    format!("{} ×{ratio} [{low}, {high}]", objective.name)
}

fn traffic(name: &str, tally: &Tally) -> String {
    format!(
        "{name}: {} requests, P99 {:.0} ms, {:.2} % errors",
        tally.requests,
        tally.quantile_ms(0.99),
        100.0 * tally.errors as f64 / tally.requests.max(1) as f64
    )
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approve => "approve",
        Verdict::Rollback => "rollback",
        Verdict::Undecided => "undecided",
    }
}

fn add(sum: &mut Tally, tally: &Tally) {
    sum.requests += tally.requests;
    sum.errors += tally.errors;
    // The bounds are the same in all tallies, so nothing is out of range.
    let _ = sum.latency_micros.add(&tally.latency_micros);
}
