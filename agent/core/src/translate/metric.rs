//! A translation under way: families into metrics, metrics into scopes.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};

use super::{Identity, Notes, attributes, histogram, number, scope, summary, unit};
use crate::exposition::{Family, Kind, Label, Page, Role, Sample};

/// A translation under way.
pub(crate) struct Draft<'p> {
    pub(crate) page: &'p Page<'p>,
    pub(crate) at: u64,
    pub(crate) notes: Notes,
    /// Buckets of native histograms so far, gaps included.
    pub(crate) native_buckets: usize,
    identity: &'p Identity,
    target_info: Vec<&'p Label<'p>>,
    scopes: Vec<ScopeMetrics>,
    /// For each scope: the family and name suffix of its last metric.
    open: Vec<Option<(usize, &'static str)>>,
    family_index: usize,
}

/// What distinguishes a point beside its name.
pub(crate) struct PointHead {
    pub(crate) scope: usize,
    pub(crate) attributes: Vec<KeyValue>,
}

impl<'p> Draft<'p> {
    pub(crate) fn new(page: &'p Page<'p>, identity: &'p Identity, at: u64) -> Self {
        Self {
            page,
            at,
            notes: Notes::default(),
            native_buckets: 0,
            identity,
            target_info: Vec::new(),
            scopes: vec![scope::own(&identity.agent_version)],
            open: vec![None],
            family_index: 0,
        }
    }

    /// Translates every family of the page.
    pub(crate) fn families(&mut self) {
        let page = self.page;
        self.samples(&page.samples);
    }

    /// Translates these samples, which are grouped by family.
    pub(crate) fn samples(&mut self, samples: &'p [Sample]) {
        let page = self.page;
        for samples in samples.chunk_by(|a, b| a.family == b.family) {
            let Some(family) = samples.first().and_then(|sample| page.family(sample)) else {
                continue;
            };
            self.family_index += 1;
            self.family(family, samples);
        }
    }

    fn family(&mut self, family: &'p Family<'p>, samples: &'p [Sample]) {
        if is_about_target(family) {
            return self.target_info(samples);
        }
        if is_about_scope(family) {
            return;
        }
        match family.kind {
            Kind::Histogram => histogram::translate(self, family, samples),
            Kind::Summary => summary::translate(self, family, samples),
            Kind::GaugeHistogram => {
                let points = samples.iter().filter(|sample| is_infinite(sample)).count();
                self.notes.gauge_histograms += points.max(1) as u64;
            }
            _ => number::translate(self, family, samples),
        }
    }

    fn target_info(&mut self, samples: &'p [Sample]) {
        let page = self.page;
        for sample in samples {
            self.target_info.extend(page.labels(sample));
        }
    }

    /// Splits a sample's labels into scope and attributes.
    pub(crate) fn head(&mut self, sample: &'p Sample) -> PointHead {
        let labels = self.page.labels(sample);
        if !labels.iter().any(scope::is_scope_label) {
            return PointHead {
                scope: 0,
                attributes: attributes::of_labels(labels.iter()),
            };
        }
        let named = labels.iter().filter(|label| scope::is_scope_label(label));
        let index = scope::index_of(&mut self.scopes, scope::of_labels(named));
        self.open.resize(self.scopes.len(), None);
        let rest = labels.iter().filter(|label| !scope::is_scope_label(label));
        PointHead {
            scope: index,
            attributes: attributes::of_labels(rest),
        }
    }

    /// Returns the data of the family's metric in a scope, made when it is not there.
    pub(crate) fn data(
        &mut self,
        scope: usize,
        family: &Family<'_>,
        suffix: &'static str,
        new: impl FnOnce() -> Data,
    ) -> Option<&mut Data> {
        let wanted = Some((self.family_index, suffix));
        let metrics = &mut self.scopes.get_mut(scope)?.metrics;
        let open = self.open.get_mut(scope)?;
        if *open != wanted {
            *open = wanted;
            let name = [family.name.as_ref(), suffix].concat();
            metrics.push(described(name, family, new()));
        }
        metrics.last_mut()?.data.as_mut()
    }

    /// Begins another metric of the same name, of another form.
    pub(crate) fn next_metric(&mut self) {
        self.family_index += 1;
    }

    /// Returns a point's time: its own timestamp, else the scrape's.
    pub(crate) fn time(&self, sample: &Sample) -> u64 {
        sample.time_unix_nano.unwrap_or(self.at)
    }

    pub(crate) fn finish(mut self) -> (ResourceMetrics, Notes) {
        self.scopes.retain(|scope| !scope.metrics.is_empty());
        let resource = Some(self.identity.resource(&self.target_info));
        let scope_metrics = self.scopes;
        (
            ResourceMetrics {
                resource,
                scope_metrics,
                ..ResourceMetrics::default()
            },
            self.notes,
        )
    }
}

fn described(name: String, family: &Family<'_>, data: Data) -> Metric {
    Metric {
        name,
        description: family.help.clone().into_owned(),
        unit: unit::ucum(family.unit).to_owned(),
        metadata: vec![attributes::text("prometheus.type", family.kind.word())],
        data: Some(data),
    }
}

/// Returns whether a family says of its target what belongs to the resource.
pub(crate) fn is_about_target(family: &Family<'_>) -> bool {
    family.name == "target_info" || (family.name == "target" && family.kind == Kind::Info)
}

/// `otel_scope_info` is the older way to tell scopes; the labels tell them now.
pub(crate) fn is_about_scope(family: &Family<'_>) -> bool {
    family.name == "otel_scope_info" || (family.name == "otel_scope" && family.kind == Kind::Info)
}

fn is_infinite(sample: &Sample) -> bool {
    sample.role == Role::Bucket && sample.bound == f64::INFINITY
}
