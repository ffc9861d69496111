//! What became of a request: outcomes and errors as data, so that nobody reads prose to decide.

use std::time::Duration;

use http::StatusCode;

use crate::GrpcCode;

/// What became of a request, and what the sender must do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is taken.
    Accepted,
    /// Taken but for `rejected` items; it must not be sent again.
    Partial {
        /// Items the server threw away.
        rejected: u64,
        /// Why, in the server's words.
        message: String,
    },
    /// Refused for good; sending it again would not help.
    Permanent {
        /// Why.
        error: SendError,
    },
    /// Not taken, and worth another try.
    Retry {
        /// How long the server asks to wait, at least.
        after: Option<Duration>,
        /// Why.
        error: SendError,
    },
    /// Taken, and the server has something to say.
    Warning {
        /// What.
        message: String,
    },
}

/// Where an error arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Here: a file or a request that can't be made.
    Local,
    /// Between: no connection, or one that broke.
    Network,
    /// There: the server's own words.
    Peer,
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct SendError {
    /// Where it arose.
    pub side: Side,
    /// Whether sending the same again can help.
    pub retry: bool,
    /// What happened.
    pub cause: Cause,
}

/// What happened to a request that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The token can't be read or sent.
    #[error("bearer token: {problem}")]
    Bearer {
        /// What is wrong.
        problem: String,
    },
    /// No connection.
    #[error("no connection: {problem}")]
    Connect {
        /// What is wrong.
        problem: String,
    },
    /// A gRPC status that is not `OK`.
    #[error("{code}: {message}")]
    Grpc {
        /// The code.
        code: GrpcCode,
        /// The server's words.
        message: String,
    },
    /// An HTTP status that is not a success.
    #[error("HTTP {status}: {message}")]
    Http {
        /// The status.
        status: StatusCode,
        /// The server's words.
        message: String,
    },
    /// The request can't be made.
    #[error("request can't be made: {problem}")]
    Request {
        /// What is wrong.
        problem: String,
    },
    /// No whole answer in time.
    #[error("no answer within {} s", after.as_secs_f64())]
    Timeout {
        /// The limit.
        after: Duration,
    },
    /// The connection broke.
    #[error("connection broke: {problem}")]
    Transport {
        /// What is wrong.
        problem: String,
    },
}

impl SendError {
    /// A request that can't be made here, and never will be.
    pub fn unfit(problem: String) -> Self {
        Self::local(Cause::Request { problem }, false)
    }

    pub(crate) fn local(cause: Cause, retry: bool) -> Self {
        let side = Side::Local;
        Self { side, retry, cause }
    }

    pub(crate) fn network(cause: Cause) -> Self {
        let (side, retry) = (Side::Network, true);
        Self { side, retry, cause }
    }

    pub(crate) fn peer(cause: Cause, retry: bool) -> Self {
        let side = Side::Peer;
        Self { side, retry, cause }
    }
}

impl Outcome {
    /// The outcome of an error, with the delay a server asked for.
    pub(crate) fn failed(error: SendError, after: Option<Duration>) -> Self {
        if error.retry {
            Self::Retry { after, error }
        } else {
            Self::Permanent { error }
        }
    }
}
