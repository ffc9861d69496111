//! One instance: from its pages to windows of evidence, as the agent and the gate do it together.

use davy_agent_core::evidence::{Evidence, EvidenceSettings, Origin, Report, SourceMode};
use davy_agent_core::exposition::{self, DEFAULT_LIMITS, Options};
use davy_agent_core::translate::{Identity, convert};
use davy_gate_core::normalize::{self, Normalizer};
use davy_proto::window::Window;
use davy_proto::{UnixNanos, semconv};
use davy_transport::{FetchError, Page};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use super::target::Target;

/// An instance and what is known of it.
pub(super) struct Source {
    pub(super) target: Target,
    /// What was found in its last page; none before it answered.
    pub(super) report: Option<Report>,
    /// Why it can't be scraped, since when; none while it can.
    pub(super) failing: Option<Failing>,
    service: String,
    identity: Identity,
    evidence: Evidence,
    normalizer: Normalizer,
}

/// A target that can't be scraped.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failing {
    pub(super) since: UnixNanos,
    pub(super) reason: String,
}

impl Source {
    pub(super) fn new(target: Target, service: &str) -> Self {
        let identity = Identity {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            defaults: Vec::new(),
            fixed: vec![
                text(semconv::SERVICE_NAME, service),
                text(semconv::SERVICE_INSTANCE_ID, &target.pod),
                text(semconv::DAVY_ARM, target.side.as_str()),
            ],
        };
        Self {
            evidence: evidence(&identity),
            normalizer: Normalizer::new(normalize::Settings::standard()),
            service: service.to_owned(),
            report: None,
            failing: None,
            target,
            identity,
        }
    }

    /// Takes the page of `at`, or why there is none; `at` is the end of a cell. Gives the windows
    /// that it closes: none of the first page, which only says where the counters stand.
    pub(super) fn take(&mut self, page: Result<Page, FetchError>, at: UnixNanos) -> Vec<Window> {
        let page = page.map_err(|error| error.to_string());
        match page.and_then(|page| observe(&mut self.evidence, &self.identity, &page, at)) {
            Ok(()) => self.failing = None,
            Err(reason) => self.fail(reason, at),
        }
        let closed = self.evidence.close(at);
        if self.failing.is_none() {
            self.report = Some(closed.report);
        }
        let Some(request) = closed.request else {
            return Vec::new();
        };
        let (windows, _) = self.normalizer.take(&request, at);
        windows
            .into_iter()
            .map(|window| self.named(window))
            .collect()
    }

    /// Looks at a page without counting it: what could be judged by it.
    pub(super) fn probe(&mut self, page: Result<Page, FetchError>, at: UnixNanos) {
        let mut evidence = evidence(&self.identity);
        let page = page.map_err(|error| error.to_string());
        match page.and_then(|page| observe(&mut evidence, &self.identity, &page, at)) {
            Ok(()) => self.report = Some(evidence.report()),
            Err(reason) => self.fail(reason, at),
        }
    }

    /// Whether requests can be counted in its pages.
    pub(super) fn has_requests(&self) -> bool {
        let found = |report: &Report| !report.latency.is_empty() || !report.requests.is_empty();
        self.report.as_ref().is_some_and(found)
    }

    fn fail(&mut self, reason: String, at: UnixNanos) {
        let since = self.failing.as_ref().map_or(at, |failing| failing.since);
        self.failing = Some(Failing { since, reason });
    }

    /// Whatever a page calls itself, the command line says who it is.
    fn named(&self, window: Window) -> Window {
        Window {
            service: self.service.clone(),
            namespace: String::new(),
            pod: self.target.pod.clone(),
            arm: self.target.side.arm(),
            ..window
        }
    }
}

fn evidence(identity: &Identity) -> Evidence {
    let settings = EvidenceSettings::with_resource(identity.fixed.clone());
    // A page has no spans to fall back on.
    Evidence::new(EvidenceSettings {
        source: SourceMode::Histogram,
        ..settings
    })
}

fn observe(
    evidence: &mut Evidence,
    identity: &Identity,
    page: &Page,
    at: UnixNanos,
) -> Result<(), String> {
    let options = Options {
        limits: DEFAULT_LIMITS,
        strict: false,
        honor_timestamps: true,
    };
    let page = exposition::parse(&page.body, page.content_type.as_deref(), &options)
        .map_err(|error| error.to_string())?;
    let (metrics, _) = convert(&page, identity, at.nanos());
    evidence.observe_metrics(&[metrics], Origin::Scrape { target: 0 }, at);
    Ok(())
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue {
        value: Some(Value::StringValue(value.to_owned())),
    });
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}
