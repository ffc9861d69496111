//! Of an encoded request, what evidence is made from: a dozen families of a page's hundreds.

use davy_proto::indicator;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::{Evidence, runtime};
use crate::payload::walk::{Field, Message, Value};

impl Evidence {
    /// Decodes the metrics of an encoded request that evidence can be made from; the others are
    /// passed over, and scopes are not told apart. What can't be decoded is left out.
    pub fn select(&self, request: &[u8]) -> Vec<ResourceMetrics> {
        let select = |metrics: Message<'_>| {
            let mut selected = ResourceMetrics::default();
            for field in fields(metrics) {
                match (field.number, field.value) {
                    (1, Value::Bytes(resource)) => {
                        selected.resource = Resource::decode(resource.bytes).ok();
                    }
                    (2, Value::Bytes(scope)) => {
                        let metrics = fields(scope).filter_map(|field| self.metric(&field));
                        selected.scope_metrics.push(ScopeMetrics {
                            metrics: metrics.collect(),
                            ..ScopeMetrics::default()
                        });
                    }
                    _ => {}
                }
            }
            selected
        };
        let all = fields(Message::request(request)).filter(|field| field.number == 1);
        all.filter_map(|field| Some(select(field.message().ok()?)))
            .collect()
    }

    fn metric(&self, field: &Field<'_>) -> Option<Metric> {
        let metric = field.message().ok().filter(|_| field.number == 2)?;
        let name = fields(metric).find(|field| field.number == 1)?;
        let name = std::str::from_utf8(name.message().ok()?.bytes).ok()?;
        let wanted = name == "up"
            || indicator::START_TIME.contains(&name)
            || runtime::is_observed(name)
            || self.choices.role(name).is_some();
        if wanted {
            Metric::decode(metric.bytes).ok()
        } else {
            None
        }
    }
}

fn fields<'b>(message: Message<'b>) -> impl Iterator<Item = Field<'b>> {
    message.fields().map_while(Result::ok)
}
