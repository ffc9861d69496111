//! Whose evidence a resource is: namespace, service, arm and pod, from its attributes.

use std::fmt;

use davy_proto::limits::NAME_BYTES_MAX;
use davy_proto::window::{Build, Source};
use davy_proto::{Arm, UnixNanos, semconv};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::Refusal;

/// Names one pod of one arm.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct PodKey {
    pub(super) namespace: String,
    pub(super) service: String,
    pub(super) arm: Arm,
    pub(super) pod: String,
}

/// All that a resource says about its sender.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) key: PodKey,
    pub(super) started: Option<UnixNanos>,
    pub(super) source: Source,
    pub(super) build: Option<Build>,
    /// Whether the sender marks errors by `error.type`, as the agent does.
    pub(super) marks_errors: bool,
}

impl Identity {
    pub(super) fn of_resource(resource: Option<&Resource>) -> Result<Self, Refusal> {
        let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
        let find = |name: &str| string(attributes, name).filter(|text| !text.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| find(name));
        let service = find(semconv::SERVICE_NAME).ok_or(Refusal::NoService)?;
        let pod = first(&[
            semconv::K8S_POD_NAME,
            semconv::SERVICE_INSTANCE_ID,
            semconv::HOST_NAME,
        ]);
        let namespace = first(&[semconv::K8S_NAMESPACE_NAME, semconv::SERVICE_NAMESPACE]);
        let key = PodKey {
            namespace: bounded(namespace.unwrap_or_default())?,
            service: bounded(service)?,
            arm: Arm::of_resource(find).ok_or(Refusal::NoArm)?,
            pod: bounded(pod.ok_or(Refusal::NoPod)?)?,
        };
        let origin = find(semconv::DAVY_EVIDENCE_SOURCE);
        let commit = find(semconv::VCS_REF_HEAD_REVISION).map(str::to_owned);
        let version = find(semconv::SERVICE_VERSION).map(str::to_owned);
        let built = version.is_some() || commit.is_some();
        let started = find(semconv::PROCESS_CREATION_TIME);
        Ok(Self {
            key,
            started: started.and_then(|text| UnixNanos::parse_rfc3339(text).ok()),
            source: if origin == Some("spans") {
                Source::Spans
            } else {
                Source::Histogram
            },
            build: built.then_some(Build { version, commit }),
            marks_errors: origin.is_some(),
        })
    }
}

impl fmt::Display for PodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            service,
            arm,
            pod,
        } = self;
        write!(f, "{namespace}/{service}/{arm}/{pod}")
    }
}

/// The text of a string attribute.
pub(super) fn string<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|kv| kv.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The value of an attribute as text; empty of what is neither text nor number.
pub(super) fn text(kv: &KeyValue) -> String {
    match kv.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        _ => String::new(),
    }
}

fn bounded(name: &str) -> Result<String, Refusal> {
    if name.len() > NAME_BYTES_MAX {
        Err(Refusal::NameTooLong)
    } else {
        Ok(name.to_owned())
    }
}
