//! One page to scrape; the keys of TLS and credentials are Prometheus's.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use davy_agent_core::exposition::{DEFAULT_LIMITS, Limits, SeriesLimits};
use davy_agent_core::series::StartTimes;
use davy_config::Reader;
use davy_transport::{Access, Authorization, ClientTls, ConfigError, Secret};

use super::{DEFAULT_EXPORT_JITTER, DEFAULT_SCRAPE_INTERVAL, Resource, relabel};
use crate::scrape::Target;

const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(3600);
const TIMEOUT_MIN: Duration = Duration::from_millis(10);

/// Longest path of a Unix socket on Linux, in bytes (`sun_path` less its zero).
const SOCKET_BYTES_MAX: usize = 107;

const START_TIMES: &[(&str, StartTimes)] = &[
    ("reported", StartTimes::Reported),
    ("synthesized", StartTimes::Synthesized),
];

/// The scheme of `authorization`, where it names none.
const DEFAULT_SCHEME: &str = "Bearer";

/// Reads a target; none when it has no usable URL.
pub(super) fn read(mut reader: Reader<'_>, resource: &Resource) -> Option<Target> {
    let range = INTERVAL_MIN..=INTERVAL_MAX;
    let interval = reader.duration("interval", range, DEFAULT_SCRAPE_INTERVAL);
    let timeout = reader.duration("timeout", TIMEOUT_MIN..=interval, interval * 4 / 5);
    let (defaults, fixed) = resource.split();
    let target = reader.required("url", |url| {
        Target::new(url, (interval, timeout), &defaults, &fixed).map_err(|error| error.to_string())
    });
    let socket = reader.optional("socket", socket);
    let access = access(&mut reader);
    let honor_timestamps = reader.bool("honor_timestamps", true);
    let start_times = reader.choice_or_first("start_times", START_TIMES);
    let export_jitter = reader.or("export_jitter", jitter, DEFAULT_EXPORT_JITTER);
    let limits = limits(reader.nested("limits"));
    let rules = relabel::read(&mut reader);
    let target = target.map(|target| Target {
        access,
        limits,
        rules,
        honor_timestamps,
        start_times: start_times.unwrap_or_default(),
        export_jitter,
        ..target
    });
    let target = match (target, socket) {
        (Some(target), Some(socket)) => Some(target.on_socket(socket)),
        (target, _) => target,
    };
    // The files of TLS are looked at now: a missing one is a mistake of the configuration.
    if let Some(Err(error)) = target.as_ref().map(Target::client) {
        let key = match error {
            ConfigError::Tls(_) => "tls",
            _ => "headers",
        };
        reader.mistake(key, error.to_string());
    }
    reader.finish();
    target
}

fn socket(text: &str) -> Result<PathBuf, String> {
    match text.len() {
        1..=SOCKET_BYTES_MAX if text.starts_with('/') => Ok(text.into()),
        0..=SOCKET_BYTES_MAX => Err(format!(
            "expected a path such as /run/app/metrics.sock, found {text:?}"
        )),
        bytes => Err(format!(
            "has {bytes} bytes; a socket's path has at most {SOCKET_BYTES_MAX}"
        )),
    }
}

fn jitter(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=0.5).contains(&share) => Ok(share),
        _ => Err(format!(
            "expected a share of the interval, 0 to 0.5, found {text:?}"
        )),
    }
}

/// Reads the limits of a target. What is read of a page before they apply has bounds of its own:
/// the defaults, or the limit where that is larger.
fn limits(mut reader: Reader<'_>) -> Limits {
    let body = reader.size(
        "body",
        1 << 10..=256 << 20,
        DEFAULT_LIMITS.body_bytes as u64,
    );
    let mut number = |key, range: RangeInclusive<usize>| {
        reader.optional(key, |text| match text.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(format!(
                "expected a whole number, {} to {}, found {text:?}",
                range.start(),
                range.end()
            )),
        })
    };
    // A series has its name, `job` and `instance` at least; `__name__` and `instance` have eight
    // letters.
    let samples = number("samples", 1..=10_000_000);
    let labels = number("labels", 3..=1000);
    let label_name = number("label_name_length", 8..=64 << 10);
    let label_value = number("label_value_length", 1..=16 << 20);
    reader.finish();
    let none = SeriesLimits::NONE;
    let or = |limit: Option<usize>, default: usize| limit.unwrap_or(0).max(default);
    Limits {
        body_bytes: usize::try_from(body).unwrap_or(usize::MAX),
        // One more, so that a page of as many ends.
        samples: or(samples.map(|limit| limit + 1), DEFAULT_LIMITS.samples),
        labels_per_sample: or(labels, DEFAULT_LIMITS.labels_per_sample),
        name_bytes: or(label_name.max(label_value), DEFAULT_LIMITS.name_bytes),
        value_bytes: or(label_value, DEFAULT_LIMITS.value_bytes),
        series: SeriesLimits {
            samples: samples.unwrap_or(none.samples),
            labels: labels.unwrap_or(none.labels),
            label_name_bytes: label_name.unwrap_or(none.label_name_bytes),
            label_value_bytes: label_value.unwrap_or(none.label_value_bytes),
        },
    }
}

fn access(reader: &mut Reader<'_>) -> Access {
    let tls = tls(reader.nested("tls"));
    let basic = reader.optional_nested("basic_auth").and_then(basic);
    let token = reader.optional_nested("authorization").and_then(token);
    if basic.is_some() && token.is_some() {
        let message = "stands beside `basic_auth`; one of the two is enough";
        reader.mistake("authorization", message);
    }
    let texts = reader.texts("headers", true).into_iter();
    let texts = texts.map(|(name, value)| (name, Secret::Text(value)));
    let files = reader.texts("header_files", false).into_iter();
    let files = files.map(|(name, path)| (name, Secret::File(path.into())));
    Access {
        tls,
        authorization: basic.or(token),
        headers: texts.chain(files).collect(),
    }
}

fn tls(mut reader: Reader<'_>) -> ClientTls {
    let tls = ClientTls {
        ca: reader.string("ca_file").map(PathBuf::from),
        cert: reader.string("cert_file").map(PathBuf::from),
        key: reader.string("key_file").map(PathBuf::from),
        server_name: reader.string("server_name"),
        insecure_skip_verify: reader.bool("insecure_skip_verify", false),
    };
    reader.finish();
    tls
}

fn basic(mut reader: Reader<'_>) -> Option<Authorization> {
    let username = reader.required("username", |name| match name.contains(':') {
        true => Err("has a colon, which ends the name (RFC 7617)".to_owned()),
        false => Ok(name.to_owned()),
    });
    let password = secret(&mut reader, "password", "password_file");
    reader.finish();
    Some(Authorization::Basic {
        username: username?,
        password: password?,
    })
}

fn token(mut reader: Reader<'_>) -> Option<Authorization> {
    let scheme = |text: &str| match text.to_ascii_lowercase().as_str() {
        "basic" => Err("`basic_auth` is for names and passwords".to_owned()),
        _ => Ok(text.to_owned()),
    };
    let scheme = reader.or("type", scheme, DEFAULT_SCHEME.to_owned());
    let credentials = secret(&mut reader, "credentials", "credentials_file");
    reader.finish();
    Some(Authorization::Token {
        scheme,
        credentials: credentials?,
    })
}

/// A secret by value or by file; one of the two must be there.
fn secret(reader: &mut Reader<'_>, key: &'static str, file_key: &'static str) -> Option<Secret> {
    let text = reader.secret(key);
    let file = reader.string(file_key);
    if !reader.has(key) && !reader.has(file_key) {
        reader.mistake(key, format!("is required, or `{file_key}`"));
    }
    if text.is_some() && file.is_some() {
        reader.mistake(
            file_key,
            format!("stands beside `{key}`; one of the two is enough"),
        );
    }
    let file = file.map(|path| Secret::File(path.into()));
    file.or_else(|| text.map(Secret::Text))
}
