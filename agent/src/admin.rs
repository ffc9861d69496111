//! The admin and control servers: small HTTP/1 servers over what the agent knows of itself.
//!
//! | server | path | answer |
//! |---|---|---|
//! | admin | `GET /livez` | 200 while the agent turns |
//! | admin | `GET /readyz` | 200 once the receivers are bound, for ever after |
//! | admin | `GET /status` | JSON |
//! | admin | `GET /metrics` | OpenMetrics |
//! | admin | `GET /version` | JSON |
//! | admin | `GET, POST /scrape` | scrapes and flushes now; one at a time, one a second |
//! | control | `POST /shutdown` | stops the agent as SIGTERM does |
//! | control | `GET /config` | JSON: every value with its origin, secrets masked |
//!
//! Readiness never goes back: a native sidecar's is the pod's, and a dead backend must not take the
//! app out of service.

mod scrape_now;
mod server;

use std::time::Duration;

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

pub use server::Server;

use crate::pipeline::Intake;
use crate::telemetry;
use scrape_now::ScrapeNow;

/// How long the agent may take to answer for itself; a scrape under way is waited for.
const ANSWER: Duration = Duration::from_secs(10);

/// What the servers ask the agent.
#[derive(Debug)]
pub enum Ask {
    /// Every value with its origin.
    Config(oneshot::Sender<Value>),
    /// Scrape all targets; the answer is how many there are.
    Scrape(oneshot::Sender<usize>),
    /// Stop as SIGTERM does.
    Shutdown,
    /// How it is.
    Status(oneshot::Sender<Value>),
}

/// Answers requests of one server.
#[derive(Debug)]
struct Answers {
    name: &'static str,
    intake: Intake,
    asks: mpsc::Sender<Ask>,
    scrape_now: ScrapeNow,
}

type Answer = Response<String>;

impl Answers {
    async fn answer(&self, method: &Method, path: &str) -> Answer {
        let (get, post) = (*method == Method::GET, *method == Method::POST);
        match (self.name, path) {
            ("admin", "/livez" | "/readyz") if get => text(StatusCode::OK, "ok\n"),
            ("admin", "/version") if get => json_of(&crate::version()),
            ("admin", "/metrics") if get => self.metrics(),
            ("admin", "/status") if get => self.ask(Ask::Status).await,
            ("admin", "/scrape") if get || post => {
                self.scrape_now.answer(&self.intake, &self.asks).await
            }
            ("control", "/config") if get => self.ask(Ask::Config).await,
            ("control", "/shutdown") if post => match self.asks.send(Ask::Shutdown).await {
                Ok(()) => text(StatusCode::ACCEPTED, "stopping\n"),
                Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "stopping already\n"),
            },
            ("admin", "/livez" | "/readyz" | "/version" | "/metrics" | "/status" | "/scrape")
            | ("control", "/config" | "/shutdown") => {
                text(StatusCode::METHOD_NOT_ALLOWED, "another method\n")
            }
            _ => text(StatusCode::NOT_FOUND, "no such path\n"),
        }
    }

    async fn ask(&self, ask: impl FnOnce(oneshot::Sender<Value>) -> Ask) -> Answer {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.asks.send(ask(reply)).await.ok()?;
            answer.await.ok()
        };
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(Some(value)) => json_of(&value),
            _ => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the agent is busy or stopping\n",
            ),
        }
    }

    fn metrics(&self) -> Answer {
        let telemetry = self.intake.telemetry();
        crate::status::measure(&self.intake);
        content(StatusCode::OK, telemetry::CONTENT_TYPE, telemetry.encode())
    }
}

fn json_of(value: &Value) -> Answer {
    content(StatusCode::OK, "application/json", format!("{value:#}\n"))
}

fn text(status: StatusCode, text: &str) -> Answer {
    content(status, "text/plain; charset=utf-8", text.to_owned())
}

fn content(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let value = http::HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, value);
    response
}

fn too_many(after_seconds: &'static str) -> Answer {
    let mut response = content(
        StatusCode::TOO_MANY_REQUESTS,
        "application/json",
        format!(
            "{}\n",
            json!({"error": "one scrape at a time, and one a second"})
        ),
    );
    let value = http::HeaderValue::from_static(after_seconds);
    response
        .headers_mut()
        .insert(http::header::RETRY_AFTER, value);
    response
}
