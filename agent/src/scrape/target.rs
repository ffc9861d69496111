//! What is scraped, how often, and who it is.

use std::path::PathBuf;
use std::time::Duration;

use davy_agent_core::exposition::{self, DEFAULT_LIMITS, Limits};
use davy_agent_core::relabel::{Rule, Rules, TargetLabels};
use davy_agent_core::series::StartTimes;
use davy_agent_core::template::Template;
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
    /// The Unix socket that the page is served on, if it is not the URL's host.
    pub socket: Option<PathBuf>,
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
    /// What is dropped and renamed.
    pub rules: Vec<Rule>,
    /// Whether timestamps on the page count.
    pub honor_timestamps: bool,
    /// Where the start times of points come from.
    pub start_times: StartTimes,
    /// Longest wait between a scrape and its export, as a share of the interval, 0 to 0.5.
    pub export_jitter: f64,
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
            rules: Vec::new(),
            honor_timestamps: true,
            start_times: StartTimes::default(),
            export_jitter: 0.0,
            socket: None,
            access: Access::default(),
            url,
        })
    }

    /// The same, served on a Unix socket: that is its address then, in OpenTelemetry's words, and
    /// the URL's host is what its requests name.
    #[must_use]
    pub fn on_socket(mut self, socket: PathBuf) -> Self {
        let (host, port) = (self.url.host().to_owned(), self.url.port().to_string());
        let path = socket.display().to_string();
        let defaults = &mut self.identity.defaults;
        *defaults = std::mem::take(defaults)
            .into_iter()
            .filter(|known| *known != attribute("server.port", &port))
            .map(|known| match known == attribute("server.address", &host) {
                true => attribute("server.address", &path),
                false => known,
            })
            .collect();
        self.socket = Some(socket);
        self
    }

    /// Returns whether the page is on this machine.
    pub fn is_local(&self) -> bool {
        self.socket.is_some() || self.url.is_local()
    }

    /// Returns what turns the target's pages into requests.
    pub(super) fn template(&self) -> Template {
        let rules = Rules::new(self.rules.clone(), self.labels());
        let template = Template::new(self.identity.clone());
        template.relabeled(rules).started(self.start_times)
    }

    /// What rules see of the target: as OpenTelemetry maps a resource to `job` and `instance`.
    fn labels(&self) -> TargetLabels {
        let Identity {
            defaults, fixed, ..
        } = &self.identity;
        let value = |key: &str| {
            let mut all = fixed.iter().chain(defaults);
            let found = all.find(|known| known.key == key)?;
            match found.value.as_ref()?.value.as_ref()? {
                Value::StringValue(text) => Some(text.clone()),
                _ => None,
            }
        };
        let name = value("service.name").unwrap_or_default();
        let path = self.url.path();
        TargetLabels {
            job: match value("service.namespace") {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name,
            },
            instance: value("service.instance.id").unwrap_or_default(),
            address: self.name.clone(),
            scheme: self.url.scheme().to_owned(),
            metrics_path: path.split('?').next().unwrap_or(path).to_owned(),
        }
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
            socket: self.socket.clone(),
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
