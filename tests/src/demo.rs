//! The demo: two real rollouts of a real Go app on this machine, a good one and a bad one.
//!
//! Read [`run`] for the plot; [`site`] lays out and builds the releases, [`fleet`] runs instances
//! with an agent beside each, [`rollout`] is one act, [`console`] what is printed.

mod console;
mod fleet;
mod rollout;
mod site;

use std::time::Duration;

use anyhow::Context;

use crate::kit::load::{Load, Plan};
use console::Console;
use fleet::Fleet;
use rollout::{Act, Ending};
use site::{Release, Site};

/// Requests a second while a canary runs.
const RATE: f64 = 600.0;
/// Share of them that the canary gets.
const CANARY_WEIGHT: f64 = 0.2;
/// Requests a second while the stable instances run alone: as many for each as beside a canary.
const STABLE_RATE: f64 = RATE * (1.0 - CANARY_WEIGHT);
/// Stable instances.
const STABLE_INSTANCES: usize = 4;
/// How long the baseline runs alone, so that the judge learns how its pods vary.
const HISTORY: Duration = Duration::from_secs(120);
/// The generator's own lag at P99 beyond which the machine, not the canary, made things slow: half
/// of what a canary may be slower by, a tenth of 230 ms. Clients see it in both arms alike, and the
/// gate not at all, since apps measure themselves.
const LAG_MS_MAX: f64 = 11.5;
/// Group of the stable instances, and of the canary, in the load's tallies.
const STABLE: usize = 0;
const CANARY: usize = 1;

/// What the three releases of the shop are like.
const RELEASES: [Release; 3] = [
    Release {
        version: "v1.0.0",
        p99: "230ms",
        error_rate: "0.0012",
        cpu_factor: "1",
    },
    Release {
        version: "v1.1.0",
        p99: "230ms",
        error_rate: "0.0012",
        cpu_factor: "1",
    },
    Release {
        version: "v1.2.0",
        p99: "310ms",
        error_rate: "0.0045",
        cpu_factor: BAD_CPU_FACTOR,
    },
];

/// Multiplies the burnt part of a request's CPU time so that its whole grows by 16 %: 68 % of the
/// limit become 79 %.
const BAD_CPU_FACTOR: &str = "1.7";

/// Runs the demo.
///
/// # Errors
///
/// When a part can't be built or started, when a verdict is not the one expected, and when the
/// machine was too busy for the figures to mean anything.
pub async fn run() -> anyhow::Result<()> {
    let console = Console::new();
    let [stable, good, bad] = &RELEASES;
    console.title("Building the app: three releases of the shop, and payments");
    let site = Site::lay_out(&RELEASES).context("lay out the releases")?;
    console.say(&format!("  in {}", site.root().display()));
    console.say(&site.expected_times(RATE, CANARY_WEIGHT)?);

    console.title("Starting the stable release, an agent beside each instance, and the gate");
    let mut fleet = Fleet::start(&site)
        .await
        .context("start gate, receiver and payments")?;
    fleet.start_stable(stable, STABLE_INSTANCES)?;
    let alone = Plan {
        rate: STABLE_RATE,
        targets: fleet.targets(0.0),
    };
    let load = Load::start(alone, 2, 1);

    let mut endings = Vec::new();
    for (release, expected) in [(good, "approve"), (bad, "rollback")] {
        let act = Act {
            site: &site,
            load: &load,
            console: &console,
            release,
            expected,
        };
        endings.push(act.play(&mut fleet).await?);
    }
    let forwarded = fleet.stop()?;
    console.title("Summary");
    endings
        .iter()
        .for_each(|ending| console.say(&ending.summary()));
    console.say(&forwarded.summary());
    check_machine(&load, &endings)?;
    console.say("  Everything has been stopped and removed.");
    Ok(())
}

fn check_machine(load: &Load, endings: &[Ending]) -> anyhow::Result<()> {
    let lag = load.lag_p99_ms();
    println!("  the load generator's own lag: {lag:.1} ms at P99 (up to {LAG_MS_MAX} ms counts)");
    if lag > LAG_MS_MAX || load.overrun() > 0 {
        anyhow::bail!(
            "the machine and not the canary made things slow: the load generator lagged {lag:.1} \
             ms behind its schedule at P99 and left out {} requests; nothing can be concluded. \
             Run it again with less beside it.",
            load.overrun()
        );
    }
    for ending in endings {
        ending.check()?;
    }
    Ok(())
}
