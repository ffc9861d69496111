use std::path::Path;

use super::*;
use crate::ServerTls;

fn pem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

#[tokio::test]
async fn tls_checks_both_ends() {
    let server = |client_ca| ServerTls {
        cert: pem("server.pem"),
        key: pem("server.key"),
        client_ca,
    };
    let open = ServerOptions {
        tls: Some(server(None).load().expect("TLS")),
        ..Default::default()
    };
    let mutual = server(Some(pem("authority.pem"))).load().expect("TLS");
    let mutual = ServerOptions {
        tls: Some(mutual),
        ..Default::default()
    };
    let (open, _) = own_server(Answer::Accepted, open).await;
    let (mutual, _) = own_server(Answer::Accepted, mutual).await;
    let trusting = ClientTls {
        ca: Some(pem("authority.pem")),
        ..ClientTls::default()
    };
    let named = |name: &str| ClientTls {
        server_name: Some(name.to_owned()),
        ..trusting.clone()
    };
    let identified = ClientTls {
        cert: Some(pem("client.pem")),
        key: Some(pem("client.key")),
        ..trusting.clone()
    };
    let stranger = ClientTls {
        ca: Some(pem("stranger.pem")),
        ..ClientTls::default()
    };
    for (address, tls, let_in) in [
        (open, trusting.clone(), true),
        (open, named("otlp.test"), true),
        (open, named("other.test"), false),
        (open, stranger, false),
        (open, ClientTls::default(), false),
        (mutual, identified, true),
        (mutual, trusting, false),
    ] {
        for protocol in PROTOCOLS {
            let endpoint = Endpoint::base(&format!("https://{address}")).expect("endpoint");
            let config = ClientConfig {
                endpoint,
                tls: tls.clone(),
                ..config(address, protocol)
            };
            let outcome = client(config).send(Signal::Logs, body(protocol)).await;
            if let_in {
                assert_eq!(outcome, Outcome::Accepted, "{protocol:?} {tls:?}");
            } else {
                assert_network(&outcome, |cause| !matches!(cause, Cause::Timeout { .. }));
            }
        }
    }
}

#[test]
fn unfit_tls_files_are_named() {
    let missing = ClientTls {
        ca: Some(pem("missing.pem")),
        ..ClientTls::default()
    };
    assert!(
        missing
            .load()
            .expect_err("refused")
            .to_string()
            .contains("missing.pem")
    );
    let no_certificate = ClientTls {
        ca: Some(pem("server.key")),
        ..ClientTls::default()
    };
    assert!(matches!(
        no_certificate.load(),
        Err(TlsError::Pem {
            what: "certificate",
            ..
        })
    ));
    let half = ClientTls {
        cert: Some(pem("client.pem")),
        ..ClientTls::default()
    };
    assert_eq!(half.load().err(), Some(TlsError::HalfIdentity));
    let mixed = ServerTls {
        cert: pem("server.pem"),
        key: pem("client.key"),
        client_ca: None,
    };
    assert!(matches!(mixed.load(), Err(TlsError::Refused { .. })));
}
