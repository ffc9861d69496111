//! One page to scrape; the keys of TLS and credentials are Prometheus's.

use std::path::PathBuf;
use std::time::Duration;

use davy_config::Reader;
use davy_transport::{Access, Authorization, ClientTls, ConfigError, Secret};

use super::{DEFAULT_SCRAPE_INTERVAL, Resource};
use crate::scrape::Target;

const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(3600);
const TIMEOUT_MIN: Duration = Duration::from_millis(10);

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
    let access = access(&mut reader);
    let target = target.map(|target| Target { access, ..target });
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
