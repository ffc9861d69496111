//! What is scraped, how often, and who it is.

use std::time::Duration;

use davy_agent_core::exposition::{DEFAULT_LIMITS, Limits};
use davy_agent_core::translate::Identity;
use http::Uri;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use thiserror::Error;

/// One page to scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Where the page is.
    pub url: Uri,
    /// The name in the agent's own metrics: host and port.
    pub name: String,
    /// Time between scrapes; they fall on its multiples.
    pub interval: Duration,
    /// Longest time of a scrape, at most the interval.
    pub timeout: Duration,
    /// Bounds of the page.
    pub limits: Limits,
    /// The resource of what is scraped.
    pub identity: Identity,
}

/// A URL that can't be scraped.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    /// Not a URL with a host.
    #[error("{url:?} is not a URL such as http://127.0.0.1:8080/metrics")]
    NotAUrl {
        /// What was given.
        url: String,
    },
    /// Another scheme than http.
    #[error("{url:?}: pages are scraped over http, beside the app")]
    NotHttp {
        /// What was given.
        url: String,
    },
}

impl Target {
    /// Returns a target. `resource` holds attributes of which the page's `target_info` may override
    /// any; `fixed` those that nothing overrides. What OpenTelemetry asks for and neither has
    /// (`service.instance.id`, `server.address`, …) is taken from the URL.
    ///
    /// # Errors
    ///
    /// [`TargetError`] when the URL can't be scraped.
    pub fn new(
        url: &str,
        every: (Duration, Duration),
        resource: &[(String, String)],
        fixed: &[(String, String)],
    ) -> Result<Self, TargetError> {
        let not_a_url = || TargetError::NotAUrl {
            url: url.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_| not_a_url())?;
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(not_a_url)?;
        let scheme = uri.scheme_str().ok_or_else(not_a_url)?;
        if scheme != "http" {
            return Err(TargetError::NotHttp {
                url: url.to_owned(),
            });
        }
        let port = uri.port_u16().unwrap_or(80);
        let name = format!("{host}:{port}");
        let mut defaults = vec![
            attribute("service.name", "unknown_service"),
            attribute("service.instance.id", &name),
            attribute("server.address", host.trim_matches(['[', ']'])),
            attribute("server.port", &port.to_string()),
            attribute("url.scheme", "http"),
        ];
        for (key, value) in resource {
            match defaults.iter_mut().find(|known| known.key == *key) {
                Some(known) => *known = attribute(key, value),
                None => defaults.push(attribute(key, value)),
            }
        }
        let fixed = fixed
            .iter()
            .map(|(key, value)| attribute(key, value))
            .collect();
        let agent_version = crate::VERSION.to_owned();
        let (interval, timeout) = every;
        Ok(Self {
            identity: Identity {
                agent_version,
                defaults,
                fixed,
            },
            name,
            interval,
            timeout: timeout.min(interval),
            limits: DEFAULT_LIMITS,
            url: uri,
        })
    }

    /// Returns whether the page is on this machine, where compressing it costs the app CPU and
    /// saves nobody anything.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.url.host().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}
