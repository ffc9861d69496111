//! What is scraped, how often, and who it is.

use std::time::Duration;

use davy_agent_core::exposition::{self, DEFAULT_LIMITS, Limits};
use davy_agent_core::translate::Identity;
use davy_transport::{Access, ConfigError, PageClient, PageOptions, PageUrl, PageUrlError};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use thiserror::Error;

/// One page to scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Where the page is.
    pub url: PageUrl,
    /// TLS and credentials.
    pub access: Access,
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
    /// A name and a password in the URL, which is not repeated here.
    #[error("a name and password in a URL can't be used; `basic_auth` is for them")]
    UserInfo,
    /// Whatever else is wrong with it.
    #[error("{url:?} {problem}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong.
        problem: PageUrlError,
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
        let url = PageUrl::parse(url).map_err(|problem| match problem {
            PageUrlError::UserInfo => TargetError::UserInfo,
            PageUrlError::Malformed | PageUrlError::Scheme => TargetError::Url {
                url: url.to_owned(),
                problem,
            },
        })?;
        let name = url.host_and_port();
        let mut defaults = vec![
            attribute("service.name", "unknown_service"),
            attribute("service.instance.id", &name),
            attribute("server.address", url.host()),
            attribute("server.port", &url.port().to_string()),
            attribute("url.scheme", url.scheme()),
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
            access: Access::default(),
            url,
        })
    }

    /// Returns a client for the page; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// Headers HTTP can't carry and unusable TLS files are named.
    pub fn client(&self) -> Result<PageClient, ConfigError> {
        PageClient::new(PageOptions {
            accept: exposition::ACCEPT,
            user_agent: concat!("davy-agent/", env!("CARGO_PKG_VERSION")),
            body_bytes_max: self.limits.body_bytes,
            connect_timeout: self.timeout,
            access: self.access.clone(),
        })
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
