//! How a person opens the page of a gate with tokens: a form that asks for one.

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use davy_transport::Token;
use serde::Deserialize;

use super::Api;
use super::problem::Problem;
use crate::page::{STYLE, escape};

/// Where the form goes.
pub(super) const PATH: &str = "/login";

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Answers {
    token: String,
    #[serde(default)]
    to: String,
}

/// Whether a request is a browser's for a page, and so is answered with the form.
pub(super) fn is_asked_by_browser(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    is_reading(request) && accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Whether a request reads a page, which is all that a cookie opens.
pub(super) fn is_reading(request: &Request) -> bool {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    is_safe && is_page(request.uri().path())
}

/// `GET /login`
pub(super) async fn form() -> Html<String> {
    Html(page("/", None))
}

/// `POST /login`: the right token gives a cookie and leads to the page that was asked for.
pub(super) async fn submitted(
    State(api): State<Api>,
    answers: Result<Form<Answers>, FormRejection>,
) -> Result<Response, Problem> {
    let Form(answers) = answers.map_err(|error| Problem::bad_request(error.body_text()))?;
    let to = if is_page(&answers.to) {
        &answers.to
    } else {
        "/"
    };
    let token = Token::new(&answers.token);
    if !api.access.knows(&token) {
        return Ok(asked(to, Some("This token is not known.")));
    }
    let headers = [
        (header::SET_COOKIE, api.access.cookie(&token)),
        (header::LOCATION, to.to_owned()),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

/// 401 with the form in it.
pub(super) fn asked(to: &str, problem: Option<&str>) -> Response {
    let mut headers = HeaderMap::new();
    let scheme = header::HeaderValue::from_static("Bearer");
    headers.insert(header::WWW_AUTHENTICATE, scheme);
    let to = if is_page(to) { to } else { "/" };
    (StatusCode::UNAUTHORIZED, headers, Html(page(to, problem))).into_response()
}

/// A page of this gate: nothing else is led to.
fn is_page(path: &str) -> bool {
    let id = path.strip_prefix("/rollouts/");
    let plain = |id: &str| {
        id.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte))
    };
    path == "/" || id.is_some_and(plain)
}

fn page(to: &str, problem: Option<&str>) -> String {
    let problem = problem.map_or_else(String::new, |text| {
        format!("<p class=reason>{}</p>\n", escape(text))
    });
    format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <title>Davy: token</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Rollouts</h1>\n{problem}\
         <form method=post action={PATH}>\n<input type=hidden name=to value=\"{}\">\n\
         <p><label>Token of this gate<br>\
         <input type=password name=token autocomplete=current-password required autofocus>\
         </label> <button>Open</button></p>\n</form>\n\
         <p class=note>One of <code>listen.tokens</code> in its configuration. This browser keeps \
         a cookie that opens the page, and nothing else, until it or the gate is restarted.</p>\n\
         </body>\n</html>\n",
        escape(to)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_gate_are_led_to() {
        for (path, expected) in [
            ("/", true),
            ("/rollouts/3f%20a-b_c", true),
            ("", false),
            ("//evil.example", false),
            ("/rollouts//evil.example", false),
            ("/rollouts/a\r\nx: y", false),
            ("https://evil.example", false),
            ("/v1/rollouts", false),
        ] {
            assert_eq!(is_page(path), expected, "{path:?}");
        }
    }

    #[test]
    fn the_form_says_what_is_wrong_and_where_it_leads() {
        let page = page("/rollouts/a", Some("<no>"));
        assert!(page.contains("value=\"/rollouts/a\""), "{page}");
        assert!(page.contains("&lt;no&gt;"), "{page}");
        assert!(
            !page.contains("http-equiv=refresh"),
            "it would empty the field"
        );
    }
}
