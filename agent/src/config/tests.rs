use std::collections::BTreeMap;

use davy_proto::Signal;

use super::*;

mod targets;

type Variables<'a> = &'a [(&'a str, &'a str)];

fn environment(variables: Variables<'_>) -> impl Fn(&str) -> Option<String> {
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    move |name| variables.get(name).cloned()
}

fn file(text: &str) -> File {
    File {
        path: "davy.yaml".into(),
        text: text.to_owned(),
    }
}

fn read(text: &str, variables: Variables<'_>) -> Loaded {
    let loaded = load(Some(&file(text)), &environment(variables));
    loaded.unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn from_environment(variables: Variables<'_>) -> Loaded {
    load(None, &environment(variables)).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[track_caller]
fn check_mistakes(text: &str, variables: Variables<'_>, expected: &[&str]) {
    let mistakes = load(Some(&file(text)), &environment(variables)).expect_err("mistakes");
    assert_eq!(mistakes.to_string().lines().collect::<Vec<_>>(), expected);
}

/// A line for each destination: name, signals, where metrics or its first signal go, in what words.
fn destinations(loaded: &Loaded) -> Vec<String> {
    let line = |it: &DestinationConfig| {
        let signals: Vec<&str> = it.signals.iter().map(|signal| signal.as_str()).collect();
        let (name, signals) = (&it.name, signals.join("+"));
        let (origin, protocol) = (it.endpoint.origin(), it.protocol.as_str());
        let (how, timeout) = (it.compression.as_str(), it.timeout);
        format!(
            "{name} {signals} {origin} {protocol} {how} {timeout:?} {:?}",
            it.headers
        )
    };
    loaded.config.export.iter().map(line).collect()
}

#[test]
fn environment_alone_is_a_whole_configuration() {
    let loaded = from_environment(&[
        (
            "DAVY_SCRAPE_URL",
            "http://127.0.0.1:8080/metrics, http://127.0.0.1:8081/metrics",
        ),
        ("DAVY_SCRAPE_INTERVAL", "10s"),
        ("DAVY_LOG_PATHS", "/var/log/app/*.log,/tmp/x.log"),
        ("DAVY_LOG_PATHS_FORMAT", "json"),
        ("DAVY_GATE_ENDPOINT", "http://gate:4319"),
        ("DAVY_GATE_PROTOCOL", "grpc"),
        ("DAVY_GATE_TOKEN", "hush"),
        ("DAVY_ARM", "v1.1.0"),
        ("DAVY_CPU_LIMIT", "0.1"),
        ("DAVY_RECEIVE_GRPC", "127.0.0.1:0"),
        ("DAVY_RECEIVE_HTTP", "off"),
        ("DAVY_ADMIN", "[::]:9465"),
        ("DAVY_SPOOL_MAX_BYTES", "16MiB"),
        ("DAVY_SPOOL_WHEN_FULL", "refuse"),
        ("DAVY_EVIDENCE_WINDOW", "10s"),
        ("OTEL_SERVICE_NAME", "shop"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=other, service.version=v%201.1.0,k8s.pod.name=p",
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x,a=b"),
    ]);
    let config = &loaded.config;
    assert_eq!(config.scrape.len(), 2);
    assert_eq!(config.scrape[1].interval, Duration::from_secs(10));
    assert_eq!(config.scrape[1].timeout, Duration::from_secs(8));
    assert_eq!(config.logs[0].paths, ["/var/log/app/*.log", "/tmp/x.log"]);
    assert_eq!(config.resource.value("service.name"), Some("shop"));
    assert_eq!(config.resource.value("service.version"), Some("v 1.1.0"));
    assert_eq!(config.resource.value("davy.arm"), Some("v1.1.0"));
    assert_eq!(config.receive.otlp_http, None);
    assert_eq!(
        config.admin.map(|a| a.to_string()).as_deref(),
        Some("[::]:9465")
    );
    assert_eq!(
        config.control.map(|a| a.to_string()).as_deref(),
        Some(DEFAULT_CONTROL)
    );
    assert_eq!(config.spool.bytes_max, 16 << 20);
    assert_eq!(config.spool.when_full, WhenFull::Refuse);
    let gate = config.gate.as_ref().expect("a gate");
    assert_eq!(gate.evidence.cpu_limit_cores, Some(0.1));
    assert_eq!(gate.destination.token.as_deref(), Some("hush"));
    let headers = r#"[("authorization", "Bearer x"), ("a", "b")]"#;
    let to = "otlp metrics+logs+traces http://collector:4318 http/protobuf none 10s";
    assert_eq!(destinations(&loaded), [format!("{to} {headers}")]);
    assert_eq!(loaded.warnings, [""; 0]);
}

#[test]
fn signals_have_variables_of_their_own() {
    let loaded = from_environment(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/base"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            "http://prometheus:9090/api/v1/otlp/v1/metrics",
        ),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""),
    ]);
    assert_eq!(
        destinations(&loaded),
        [
            "otlp traces http://collector:4318 http/protobuf gzip 2.5s []",
            "otlp-metrics metrics http://prometheus:9090 http/protobuf none 2.5s []",
            "otlp-logs logs http://collector:4318 http/json gzip 2.5s []",
        ]
    );
    let only_traces = from_environment(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "TRUE"),
    ]);
    assert_eq!(
        destinations(&only_traces),
        ["otlp-traces traces http://collector:4317 grpc none 10s []"]
    );
    assert_eq!(
        only_traces.warnings,
        [
            "no endpoint is named for metrics: they are dropped",
            "no endpoint is named for logs: they are dropped"
        ]
    );
}

#[test]
fn the_environment_wins_over_the_file() {
    let text = "version: 1\nexport: [{endpoint: 'http://a:1', signals: [traces]}]\nadmin: off\n";
    let kept = read(text, &[("OTEL_EXPORTER_OTLP_HEADERS", "k=v")]);
    assert_eq!(
        destinations(&kept),
        [r#"a:1 traces http://a:1 http/protobuf none 10s [("k", "v")]"#]
    );
    assert_eq!(kept.config.admin, None);
    let replaced = read(text, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:2")]);
    assert_eq!(
        destinations(&replaced),
        ["otlp metrics+logs+traces http://b:2 http/protobuf none 10s []"]
    );
    assert_eq!(replaced.warnings.len(), 1);
    let two = "version: 1\nexport: [{endpoint: 'http://a:1'}, {endpoint: 'http://a:1'}]\n";
    let two = read(two, &[("OTEL_EXPORTER_OTLP_HEADERS", "k=v")]);
    assert_eq!(
        destinations(&two),
        [
            "a:1 metrics+logs+traces http://a:1 http/protobuf none 10s []",
            "a:1-2 metrics+logs+traces http://a:1 http/protobuf none 10s []"
        ]
    );
    assert_eq!(two.warnings.len(), 1);
}

#[test]
fn the_example_of_the_guide_is_read() {
    let loaded = read(include_str!("example.yaml"), &[("DEPLOYMENT", "prod")]);
    assert_eq!(loaded.config.export.len(), 2);
    assert_eq!(loaded.config.export[1].signals, [Signal::Traces]);
    assert_eq!(
        loaded.config.resource.value("deployment.environment.name"),
        Some("prod")
    );
    assert_eq!(loaded.warnings.len(), 1, "spool.dir: {:?}", loaded.warnings);
    let masked = loaded
        .settings
        .iter()
        .find(|s| s.path == "export[1].headers.authorization");
    assert_eq!(masked.map(|setting| setting.value.as_str()), Some("****"));
}

#[test]
fn a_gate_alone_is_enough() {
    let loaded = from_environment(&[
        ("DAVY_GATE_ENDPOINT", "http://gate:4319"),
        ("DAVY_SCRAPE_URL", "http://127.0.0.1:8080/metrics"),
        ("OTEL_SERVICE_NAME", "shop"),
    ]);
    let gate = loaded.config.gate.expect("a gate");
    let instance = &gate.evidence.resource.last().expect("attributes").key;
    assert_eq!(instance, "service.instance.id");
}

#[test]
fn all_mistakes_at_once() {
    check_mistakes(
        "version: 1\n\
         scrape:\n\
         - {url: 'ftp://127.0.0.1:8080/metrics', interval: 5}\n\
         - {interval: 5s, timeout: 6s}\n\
         logs: [{format: xml}]\n\
         receive: {otlp_grpc: '0.0.0.0:4317'}\n\
         export:\n\
         - {endpoint: 'http://localhost:4318'}\n\
         - {endpoint: 'http://collector:4318', protocol: htp, tls: {ca: /nowhere.pem}}\n\
         evidence: {errors: {http: [x]}, source: guess}\n\
         control: '0.0.0.0:1'\n\
         exports: []\n",
        &[("DAVY_SPOOL_MAX_BYTES", "lots"), ("DAVY_CPU_LIMIT", "-1")],
        &include_str!("mistakes.txt").lines().collect::<Vec<_>>(),
    );
    check_mistakes(
        "version: 1\n",
        &[("OTEL_RESOURCE_ATTRIBUTES", "a,b=%zz")],
        &["OTEL_RESOURCE_ATTRIBUTES: expected key=value,key=value with percent-encoded values"],
    );
    check_mistakes(
        "version: 1\n",
        &[],
        &[
            "davy.yaml:1: export: no destination is named; set OTEL_EXPORTER_OTLP_ENDPOINT, or \
           `export` in the file (a gate alone, DAVY_GATE_ENDPOINT, is enough too)",
        ],
    );
}

/// Guarantees: a list that is there and names nothing, where something is needed, is a mistake.
#[test]
fn empty_lists_are_mistakes() {
    let none = "no destination is named; set OTEL_EXPORTER_OTLP_ENDPOINT, or `export` in the file \
                (a gate alone, DAVY_GATE_ENDPOINT, is enough too)";
    check_mistakes(
        "version: 1\n\
         logs:\n\
         - {paths: []}\n\
         - {paths: [a, '']}\n\
         export: []\n",
        &[],
        &[
            "davy.yaml:3: logs[0].paths: names no file: the files to follow, such as \
             /var/log/app/*.log",
            "davy.yaml:4: logs[1].paths[1]: is empty",
            &format!("davy.yaml:5: export: {none}"),
        ],
    );
    check_mistakes(
        "version: 1\nexport: [{endpoint: 'http://a:1', signals: []}]\n",
        &[("DAVY_LOG_PATHS", ",")],
        &[
            "DAVY_LOG_PATHS: logs[0].paths: names no file: the files to follow, such as \
             /var/log/app/*.log",
            "davy.yaml:2: export[0].signals: names no signal",
        ],
    );
    let alone = "version: 1\nexport: []\ngate: {endpoint: 'http://gate:4319'}\n";
    assert!(read(alone, &[]).config.gate.is_some());
}

#[test]
fn a_target_has_tls_and_credentials() {
    let text = "version: 1\nexport: [{endpoint: 'http://a:1'}]\n\
                scrape:\n\
                - {url: 'https://h/m', tls: {server_name: s, insecure_skip_verify: true}, \
                   basic_auth: {username: me, password: hush}, headers: {X-A: hush}}\n\
                - {url: 'http://h/m', authorization: {type: Key, credentials: hush}}\n";
    let variables = [("DAVY_SCRAPE_CA_FILE", "Cargo.toml")];
    let of = |text: &str| load(Some(&file(text)), &environment(&[])).expect("no mistake");
    let loaded = of(text);
    let [tls, bare] = &loaded.config.scrape[..] else {
        panic!("two targets");
    };
    assert_eq!(tls.access.tls.server_name.as_deref(), Some("s"));
    assert!(tls.access.tls.insecure_skip_verify && tls.access.headers.len() == 1);
    assert!(bare.access.authorization.is_some());
    let shown = |setting: &davy_config::Setting| setting.value.contains("hush");
    assert!(!loaded.settings.iter().any(shown), "{:?}", loaded.settings);
    assert!(!format!("{:?}", loaded.config).contains("hush"));
    assert_eq!(
        loaded.warnings,
        ["credentials for h:80 are sent in the clear; use https"]
    );
    let other = of(&text.replace("password: hush", "password: other"));
    assert_ne!(
        other.config.scrape[0], *tls,
        "a reload sees another password"
    );
    check_mistakes(
        text,
        &variables,
        &[
            "DAVY_SCRAPE_CA_FILE: scrape[1].tls: Cargo.toml: no certificate: the file has none",
            "davy.yaml:4: scrape[0].tls: Cargo.toml: no certificate: the file has none",
        ],
    );
    check_mistakes(
        "version: 1\nexport: [{endpoint: 'http://a:1'}]\n\
         scrape:\n\
         - {url: 'https://h/m', basic_auth: {username: 'a:b', password: x, password_file: y}}\n\
         - {url: 'https://h/m', authorization: {type: basic}, tls: {cert_file: /x}}\n\
         - {url: 'https://me:hush@h/m', headers: {Host: x}, tls: {ca: /x}}\n\
         - {url: 'https://h/m', headers: {Host: x}}\n\
         - {url: 'https://h/m', basic_auth: {username: a, password: b}, \
         authorization: {credentials: c}}\n",
        &[],
        &[
            "davy.yaml:4: scrape[0].basic_auth.username: has a colon, which ends the name (RFC 7617)",
            "davy.yaml:4: scrape[0].basic_auth.password_file: stands beside `password`; one of the \
             two is enough",
            "davy.yaml:5: scrape[1].authorization.type: `basic_auth` is for names and passwords",
            "davy.yaml:5: scrape[1].authorization.credentials: is required, or `credentials_file`",
            "davy.yaml:5: scrape[1].tls: a client certificate needs both cert and key",
            "davy.yaml:6: scrape[2].url: a name and password in a URL can't be used; `basic_auth` is \
             for them",
            "davy.yaml:6: scrape[2].tls.ca: unknown key; known are ca_file, cert_file, key_file, \
             server_name and insecure_skip_verify",
            "davy.yaml:7: scrape[3].headers: header \"Host\" is the client's own and can't be replaced",
            "davy.yaml:8: scrape[4].authorization: stands beside `basic_auth`; one of the two is \
             enough",
        ],
    );
}

#[test]
fn degraded_keeps_what_is_valid() {
    let text = "version: 1\n\
                scrape: [{url: nowhere}, {url: 'http://127.0.0.1:1/metrics'}]\n\
                export: [{endpoint: 'http://a:1'}, {endpoint: 'http://b:1', protocol: x}]\n\
                gate: {endpoint: 'http://gate:4319', x: 1}\n";
    let loaded = load_degraded(Some(&file(text)), &environment(&[]));
    assert_eq!(loaded.config.scrape.len(), 1);
    assert_eq!(destinations(&loaded).len(), 1);
    assert_eq!(loaded.config.gate, None);
    assert_eq!(loaded.mistakes.map(|mistakes| mistakes.len()), Some(3));
    let broken = load_degraded(
        Some(&file("version: [")),
        &environment(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1")]),
    );
    assert_eq!(destinations(&broken).len(), 1);
    assert!(broken.mistakes.is_some());
}

#[test]
fn equal_settings_have_equal_versions() {
    let text = "version: 1\nexport: [{endpoint: 'http://a:1'}]\n";
    let version = read(text, &[]).version();
    assert_eq!(read(&format!("# moved\n{text}"), &[]).version(), version);
    assert_ne!(read(text, &[("DAVY_ARM", "x")]).version(), version);
}

/// Guarantees: the guide names every key and every variable.
#[test]
fn the_guide_is_complete() {
    let guide = include_str!("../../../docs/configuration.md");
    let loaded = read(include_str!("example.yaml"), &[("DEPLOYMENT", "prod")]);
    let keys = loaded.settings.iter().map(|setting| {
        let key = setting
            .path
            .split(['[', ']'])
            .step_by(2)
            .collect::<String>();
        let free = [
            "resource.",
            "scrape.headers.",
            "scrape.header_files.",
            "export.headers.",
            "gate.headers.",
        ];
        match free.iter().find(|free| key.starts_with(**free)) {
            Some(free) => free.trim_end_matches('.').to_owned(),
            None => key,
        }
    });
    let variables = environment::all_variables();
    for name in keys.chain(variables) {
        assert!(
            guide.contains(&format!("`{name}`")),
            "docs/configuration.md lacks `{name}`"
        );
    }
}
