//! Why a scrape failed.

use davy_agent_core::exposition::{PageError, Reason};
use davy_transport::{ConfigError, FetchError};
use thiserror::Error;

/// Why a scrape failed.
#[derive(Debug, Error)]
pub enum ScrapeError {
    /// There can be no client for the target.
    #[error(transparent)]
    Client(ConfigError),
    /// There is no page.
    #[error(transparent)]
    Fetch(FetchError),
    /// The page can't be read.
    #[error(transparent)]
    Page(PageError),
}

impl ScrapeError {
    /// Returns the reason as a metric's label.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Client(_) | Self::Fetch(FetchError::Credentials { .. }) => "credentials",
            Self::Fetch(FetchError::Corrupt { .. } | FetchError::Encoding { .. }) => "encoding",
            Self::Fetch(FetchError::Status { .. }) => "status",
            Self::Fetch(FetchError::Timeout { .. }) => "timeout",
            Self::Fetch(FetchError::TooLarge { .. }) => "too_large",
            Self::Fetch(FetchError::Unreachable { .. }) => "unreachable",
            Self::Page(PageError::BodyTooLarge { .. } | PageError::TooManySamples { .. }) => {
                "too_large"
            }
            Self::Page(PageError::SampleLimit { .. }) => "limit",
            Self::Page(PageError::Line(error)) => match error.reason {
                reason if reason.is_series_limit() => "limit",
                Reason::LabelUnnamed | Reason::NameRemoved => "relabel",
                _ => "malformed",
            },
            Self::Page(_) => "malformed",
        }
    }
}
