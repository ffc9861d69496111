//! The resource: what the agent was told of the target, and what the page says in `target_info`.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::attributes;
use crate::exposition::Label;

/// Who the scraped program is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// Version of the agent, for the scope of metrics that name none.
    pub agent_version: String,
    /// Attributes that the page's `target_info` may override (`service.name`, `server.address`, …).
    pub defaults: Vec<KeyValue>,
    /// Attributes that nothing overrides (the arm, pod and namespace).
    pub fixed: Vec<KeyValue>,
}

impl Identity {
    /// Returns the resource of a page with these labels in its `target_info`.
    pub(crate) fn resource(&self, target_info: &[&Label<'_>]) -> Resource {
        let mut attributes = self.defaults.clone();
        for label in target_info {
            attributes::set(&mut attributes, attributes::text(&label.name, &label.value));
        }
        for attribute in &self.fixed {
            attributes::set(&mut attributes, attribute.clone());
        }
        Resource {
            attributes,
            ..Resource::default()
        }
    }
}
