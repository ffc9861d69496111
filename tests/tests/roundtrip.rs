//! Round trip: the agent's OTLP in a real Prometheus, beside what that Prometheus scrapes itself.
//!
//! One Prometheus scrapes pages that stand still and the real shop, in the formats that it asks
//! for; one agent scrapes the same and sends to the same Prometheus. What comes back by query is
//! the same, but for what the tables of `differences` name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use davy_tests::kit::agent::Agent;
use davy_tests::kit::shop::Shop;
use davy_tests::kit::{http, peers};

use differences::{Used, name, own_labels_off};
use held::{Held, Labels, Prometheus, SCRAPED, SENT, Sample, Series};
use pages::Page;

mod differences;
mod held;
mod native;
mod pages;

/// The program under test.
const AGENT: &str = env!("CARGO_BIN_EXE_davy-agent-under-test");
/// How long both sides may take to see a change, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// Differences that are shown.
const SHOWN: usize = 40;

struct Scene {
    pages: Vec<Page>,
    shop: Shop,
    prometheus: Prometheus,
    agent: Agent,
    used: Used,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Building it takes minutes, after which a page with a timestamp of its own is too old.
        peers::prometheus().expect("Prometheus");
        let pages = pages::all();
        let shop = Shop::start(folder.path(), &[("SHOP_ERROR_RATE", "0.05")]);
        let shop = shop.expect("the shop starts");
        let mut targets: Vec<String> = pages.iter().map(|page| page.authority.clone()).collect();
        targets.push(shop.authority.clone());
        let prometheus = Prometheus::start(folder.path(), &targets);
        let file = folder.path().join("davy.yaml");
        let mut configuration =
            format!("version: 1\nresource: {{service.name: {SENT}}}\nscrape:\n");
        for target in &targets {
            let entry = format!("- {{url: \"http://{target}/metrics\", interval: 1s}}\n");
            configuration.push_str(&entry);
        }
        let endpoint = prometheus.endpoint();
        configuration.push_str(&format!(
            "export:\n- {{endpoint: \"{endpoint}\", append_path: false, signals: [metrics]}}\n"
        ));
        fs::write(&file, configuration).expect("write the configuration");
        let arguments = ["--config".as_ref(), file.as_os_str()];
        let agent = Agent::start_with(AGENT, folder.path(), &[], &arguments);
        Self {
            pages,
            shop,
            prometheus,
            agent: agent.expect("the agent starts"),
            used: Used::new(),
            _folder: folder,
        }
    }

    /// Requests of every kind, so that every metric of the shop is there.
    fn visit(&self) {
        let at = &self.shop.authority;
        // Some of them fail on purpose.
        for n in 0..60 {
            let order = format!("{{\"product\": {}, \"count\": {}}}", 1 + n % 90, 1 + n % 7);
            http::send(at, "POST", "/orders", &[], order.as_bytes()).expect("an answer");
            for path in [
                "/products",
                "/products/7",
                "/products/700",
                "/search?q=lamp,red",
            ] {
                http::get(at, path).expect("an answer");
            }
        }
    }

    /// Waits until Prometheus has scraped what `is_reached` looks for, and both sides agree.
    #[track_caller]
    fn agree(&mut self, when: &str, is_reached: impl Fn(&Series) -> bool) -> Series {
        let end = Instant::now() + PATIENCE;
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let scraped = self.prometheus.series(SCRAPED);
            let sent = self.prometheus.series(SENT);
            let found = differences::of(&scraped, &sent, moves, &mut self.used);
            if found.is_empty() && is_reached(&scraped) {
                return scraped;
            }
            let shown = found.get(..SHOWN).unwrap_or(&found).join("\n");
            assert!(
                Instant::now() < end,
                "{when}: {} scraped, {} sent, {} differ:\n{shown}\n{}{}",
                scraped.len(),
                sent.len(),
                found.len(),
                self.prometheus.log(),
                self.agent.process.log(),
            );
        }
    }

    /// Series of the pages that stand still.
    fn of_pages(&self, series: &Series) -> usize {
        let is_of_page = |labels: &&Labels| labels.get("instance") != Some(&self.shop.authority);
        series.keys().filter(is_of_page).count()
    }

    /// All exemplars of the scrape are sent too; what is sent beyond is of native histograms.
    fn check_exemplars(&mut self, scraped: &Series) {
        let of = |job| {
            let own_off = |(labels, own, value, time)| {
                let labels = own_labels_off(&labels, &mut Used::new());
                (labels, own, value, time)
            };
            let exemplars = self.prometheus.exemplars(job).into_iter();
            exemplars.map(own_off).collect::<BTreeSet<_>>()
        };
        let (theirs, ours) = (of(SCRAPED), of(SENT));
        assert!(theirs.len() > 20, "{}", theirs.len());
        let lost: Vec<_> = theirs.difference(&ours).collect();
        assert!(lost.is_empty(), "not sent: {lost:#?}");
        let own_off = |labels| own_labels_off(labels, &mut Used::new());
        let is_native = |held: &Held| matches!(held.value, Sample::Histogram { .. });
        let native = scraped.iter().filter(|(_, held)| is_native(held));
        let native: BTreeSet<Labels> = native.map(|(labels, _)| own_off(labels)).collect();
        for more in ours.difference(&theirs) {
            assert!(native.contains(&more.0), "only sent: {more:?}");
            self.used.insert(differences::EXEMPLARS);
        }
    }
}

/// Whether a series of the shop at rest moves between two scrapes: what the scrapes themselves cost.
fn moves(labels: &Labels) -> bool {
    let name = name(labels);
    let collections = name.starts_with("go_gc_duration_seconds");
    (name.starts_with("go_") && !collections) || name.starts_with("process_")
}

/// Targets that answer.
fn up(series: &Series) -> usize {
    let is_one = |held: &Held| matches!(held.value, Sample::Number(1.0));
    let up = series.iter().filter(|(labels, _)| name(labels) == "up");
    up.filter(|(_, held)| is_one(held)).count()
}

/// Series of each type; native histograms are a type of their own here.
fn by_kind(series: &Series) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for held in series.values() {
        let kind = match held.value {
            Sample::Histogram { .. } => "native",
            Sample::Number(_) => held.kind.as_str(),
        };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    kinds
}

/// Scenario: pages of real programs in three formats, a page of all that is rare, and the shop,
/// visited and at rest. Then the pages lose every second family; then they are gone; then they are
/// back.
/// Guarantees: by query the series are the same, and so are types, units, values bit for bit,
/// timestamps and exemplars: counters, gauges, classic and native histograms, summaries. What ends
/// for Prometheus's scrape ends for what the agent sends: no bucket and no quantile stays behind.
#[test]
fn what_the_agent_sends_is_what_prometheus_scrapes() {
    let mut scene = Scene::start();
    scene.visit();
    let all = scene.pages.len() + 1;
    let whole = scene.agree("whole pages", |scraped| up(scraped) == all);
    let kinds = by_kind(&whole);
    for (kind, least) in [
        ("counter", 500),
        ("gauge", 500),
        ("histogram", 1000),
        ("native", 15),
        ("summary", 100),
    ] {
        let found = kinds.get(kind).copied().unwrap_or(0);
        assert!(found >= least, "{found} of {kind}: {kinds:?}");
    }
    scene.check_exemplars(&whole);
    for job in [SCRAPED, SENT] {
        let stamp = scene
            .prometheus
            .timestamp(job, "stamped")
            .expect("a sample");
        assert_eq!(stamp.fract(), 0.25, "{job}: {stamp}");
    }
    let pages = scene.of_pages(&whole);

    scene.pages.iter().for_each(Page::thin);
    let shop = whole.len() - pages;
    scene.agree("every second family", |scraped| {
        up(scraped) == all && scraped.len() - shop < pages * 3 / 4
    });

    scene.pages.iter().for_each(Page::fail);
    let gone = scene.agree("no page", |scraped| up(scraped) == 1);
    // Five series say how each scrape went; the stamped sample has a time of its own, and so
    // neither side ends it.
    assert!(
        scene.of_pages(&gone) <= scene.pages.len() * 5 + 1,
        "{gone:#?}"
    );

    scene.pages.iter().for_each(Page::restore);
    let back = scene.agree("pages again", |scraped| up(scraped) == all);
    assert_eq!(scene.of_pages(&back), pages);
    let unused: Vec<_> = differences::rows()
        .difference(&scene.used)
        .copied()
        .collect();
    assert!(unused.is_empty(), "rows that nothing needed: {unused:#?}");
    scene.agent.stop().expect("the agent ends well");
}
