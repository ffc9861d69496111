//! Log records as an encoded export request.

use davy_proto::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use crate::Payload;

/// What the records of one file have in common: the resource and the scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogResource {
    resource: Resource,
    scope: InstrumentationScope,
}

impl LogResource {
    /// The attributes of the app, and the version of the agent that reads for it.
    pub fn new(attributes: Vec<KeyValue>, agent_version: &str) -> Self {
        Self {
            resource: Resource {
                attributes,
                ..Resource::default()
            },
            scope: InstrumentationScope {
                name: "davy-agent".to_owned(),
                version: agent_version.to_owned(),
                ..InstrumentationScope::default()
            },
        }
    }

    /// The records as one request.
    pub fn request(&self, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
        let scope_logs = ScopeLogs {
            scope: Some(self.scope.clone()),
            log_records,
            ..ScopeLogs::default()
        };
        let resource_logs = ResourceLogs {
            resource: Some(self.resource.clone()),
            scope_logs: vec![scope_logs],
            ..ResourceLogs::default()
        };
        ExportLogsServiceRequest {
            resource_logs: vec![resource_logs],
        }
    }

    /// The records as an encoded request.
    pub fn payload(&self, log_records: Vec<LogRecord>) -> Payload {
        let items = log_records.len() as u64;
        let bytes = self.request(log_records).encode_to_vec().into();
        Payload {
            signal: Signal::Logs,
            bytes,
            items,
        }
    }
}
