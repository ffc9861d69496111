//! `/v1/evaluate`: how does this canary stand?
//!
//! A well-formed, authorised question is answered `200` with a verdict, an unknown rollout with
//! `undecided`; anything else with a problem and its 4xx. Argo substitutes its arguments as text,
//! so numbers come as strings too.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use davy_proto::Arm;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::{Api, BODY_BYTES_MAX};
use crate::engine::{Question, Refusal};

/// What a question may say; other keys are left alone, templates carry more.
const KEYS: [&str; 8] = [
    "namespace",
    "service",
    "rollout",
    "uid",
    "baseline",
    "canary",
    "step",
    "weight",
];

/// Characters of a wrong value that are shown: an answer is small, whatever was asked.
const SHOWN_MAX: usize = 64;

/// `POST` with a JSON object.
pub async fn posted(
    State(api): State<Api>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|_| Problem::too_large(BODY_BYTES_MAX))?;
    let fields: Value = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
    let Value::Object(fields) = fields else {
        return Err(Problem::bad_request("the body is not a JSON object"));
    };
    answer(&api, &fields).await
}

/// `GET` with a query.
pub async fn queried(
    State(api): State<Api>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(pairs) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let fields = pairs
        .into_iter()
        .map(|(key, value)| (key, Value::String(value)))
        .collect();
    answer(&api, &fields).await
}

async fn answer(api: &Api, fields: &Map<String, Value>) -> Result<Response, Problem> {
    let question = question(fields).map_err(|errors| {
        let mut problem = Problem::bad_request("the question is not well formed");
        problem.errors = errors;
        problem
    })?;
    match api.engine.evaluate(question).await {
        Ok(evaluation) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            Ok((kind, evaluation.to_body()).into_response())
        }
        Err(Refusal::SameArm) => Err(Problem::bad_request("baseline and canary are the same arm")),
        Err(Refusal::Busy) => Err(super::rollouts::gone()),
    }
}

/// Reads a question, or says everything that is wrong with it.
fn question(fields: &Map<String, Value>) -> Result<Question, Vec<String>> {
    let mut reader = Reading {
        fields,
        errors: Vec::new(),
    };
    let namespace = reader.text("namespace").unwrap_or_default();
    let service = reader.text("service").or_else(|| reader.text("rollout"));
    let uid = reader.text("uid").unwrap_or_default();
    let (baseline, canary) = (reader.arm("baseline"), reader.arm("canary"));
    let step = reader.number("step");
    let weight = reader.number("weight");
    if service.is_none() {
        reader
            .errors
            .push("service (or rollout) is required".to_owned());
    }
    if let Some(step) = step.filter(|step| !(0.0..=1e9).contains(step) || step.fract() != 0.0) {
        reader
            .errors
            .push(format!("step: {step} is not a step's number"));
    }
    if let Some(weight) = weight.filter(|weight| !(0.0..=100.0).contains(weight)) {
        reader
            .errors
            .push(format!("weight: {weight} is no percentage"));
    }
    match (service, baseline, canary) {
        (Some(service), Some(baseline), Some(canary)) if reader.errors.is_empty() => {
            // In range and whole, as checked above.
            Ok(Question {
                namespace,
                service,
                uid,
                baseline,
                canary,
                step: step.map(|step| step as u64),
                weight,
            })
        }
        _ => Err(reader.errors),
    }
}

struct Reading<'a> {
    fields: &'a Map<String, Value>,
    errors: Vec<String>,
}

impl Reading<'_> {
    fn text(&mut self, key: &'static str) -> Option<String> {
        debug_assert!(KEYS.contains(&key));
        match self.fields.get(key)? {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) if text.len() > davy_proto::limits::NAME_BYTES_MAX => {
                self.errors
                    .push(format!("{key} is longer than a name may be"));
                None
            }
            Value::String(text) => Some(text.clone()),
            other => {
                let found: String = other.to_string().chars().take(SHOWN_MAX).collect();
                self.errors
                    .push(format!("{key}: expected a text, found {found}"));
                None
            }
        }
    }

    fn arm(&mut self, key: &'static str) -> Option<Arm> {
        let Some(text) = self.text(key) else {
            self.errors
                .push(format!("{key} is required: the arm's name"));
            return None;
        };
        match Arm::new(&text) {
            Ok(arm) => Some(arm),
            Err(error) => {
                self.errors.push(format!("{key}: {error}"));
                None
            }
        }
    }

    fn number(&mut self, key: &'static str) -> Option<f64> {
        let number = match self.fields.get(key)? {
            Value::Null => return None,
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        };
        let number = number.filter(|n| n.is_finite());
        if number.is_none() {
            self.errors.push(format!("{key}: expected a number"));
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Question, Vec<String>> {
        let Value::Object(fields) = serde_json::from_str(text).expect("JSON") else {
            panic!("an object");
        };
        question(&fields)
    }

    #[test]
    fn argo_sends_numbers_as_texts_and_the_rollout_for_the_service() {
        let read = read(
            r#"{"namespace":"prod","rollout":"shop","uid":"u","baseline":"a","canary":"b",
                "step":"1","weight":"20"}"#,
        );
        let question = read.expect("well formed");
        assert_eq!(
            (question.service.as_str(), question.step),
            ("shop", Some(1))
        );
        assert_eq!(question.weight, Some(20.0));
    }

    #[test]
    fn all_mistakes_are_said_at_once() {
        let errors = read(r#"{"canary":7,"step":"x","weight":"120"}"#).expect_err("mistakes");
        let expected = [
            "baseline is required: the arm's name",
            "canary: expected a text, found 7",
            "canary is required: the arm's name",
            "step: expected a number",
            "service (or rollout) is required",
            "weight: 120 is no percentage",
        ];
        assert_eq!(errors, expected);
    }
}
