use super::*;

#[tokio::test]
async fn wrong_http_requests_are_told_what_is_wrong() {
    let server = Fixture::accepting().await;
    let bomb = compress(Bytes::from(vec![0; LIMIT + 1]), Compression::Gzip).expect("memory");
    let large = vec![0; LIMIT + 1];
    let gzip = ("content-encoding", "gzip");
    for (method, path, headers, body, status, code) in [
        (
            "POST",
            "/v1/nothing",
            &[PROTOBUF][..],
            &b""[..],
            404,
            GrpcCode::Unimplemented,
        ),
        ("POST", "/", &[JSON], b"", 404, GrpcCode::Unimplemented),
        (
            "GET",
            TRACES,
            &[PROTOBUF],
            b"",
            405,
            GrpcCode::Unimplemented,
        ),
        ("POST", TRACES, &[], b"a", 415, GrpcCode::InvalidArgument),
        (
            "POST",
            TRACES,
            &[("content-type", "text/plain")],
            b"a",
            415,
            GrpcCode::InvalidArgument,
        ),
        (
            "POST",
            TRACES,
            &[JSON, ("content-encoding", "br")],
            b"",
            415,
            GrpcCode::InvalidArgument,
        ),
        (
            "POST",
            TRACES,
            &[JSON, gzip, gzip],
            b"",
            415,
            GrpcCode::InvalidArgument,
        ),
        (
            "POST",
            TRACES,
            &[PROTOBUF, gzip],
            b"abc",
            400,
            GrpcCode::Internal,
        ),
        (
            "POST",
            TRACES,
            &[PROTOBUF, gzip],
            &bomb[..20],
            400,
            GrpcCode::Internal,
        ),
        (
            "POST",
            TRACES,
            &[PROTOBUF, gzip],
            &bomb,
            413,
            GrpcCode::ResourceExhausted,
        ),
        (
            "POST",
            TRACES,
            &[JSON, gzip],
            &bomb,
            413,
            GrpcCode::ResourceExhausted,
        ),
        (
            "POST",
            TRACES,
            &[PROTOBUF],
            &large,
            413,
            GrpcCode::ResourceExhausted,
        ),
    ] {
        let reply = server.http(method, path, headers, body).await;
        reply.assert_http(status, code);
        let json = headers.contains(&JSON) || !headers.contains(&PROTOBUF);
        let media = if json { Media::Json } else { Media::Protobuf };
        assert_eq!(reply.header("content-type"), media.content_type());
        let allow = if status == 405 { "POST" } else { "" };
        assert_eq!(reply.header("allow"), allow);
    }
    assert_eq!(server.bodies(), []);
}

#[tokio::test]
async fn wrong_calls_are_told_what_is_wrong() {
    let server = Fixture::accepting().await;
    let zeros = Bytes::from(vec![0; LIMIT + 1]);
    let bomb = framed(true, &compress(zeros, Compression::Gzip).expect("memory"));
    let path = grpc::path(Signal::Traces);
    let gzip = ("grpc-encoding", "gzip");
    let two = [framed(false, b"a"), framed(false, b"b")].concat();
    let large = framed(false, &vec![0; LIMIT + 1]);
    for (path, headers, body, code) in [
        (
            "/grpc.health.v1.Health/Check",
            &[][..],
            &framed(false, b"")[..],
            GrpcCode::Unimplemented,
        ),
        (
            path,
            &[("grpc-encoding", "snappy")],
            &framed(true, b"a"),
            GrpcCode::Unimplemented,
        ),
        (path, &[], b"", GrpcCode::Unimplemented),
        (path, &[], &two, GrpcCode::Unimplemented),
        (path, &[], b"\0\0\0", GrpcCode::Internal),
        (path, &[], b"\0\0\0\0\x05abc", GrpcCode::Internal),
        (path, &[], &framed(true, b"abc"), GrpcCode::Internal),
        (path, &[gzip], b"\x02\0\0\0\0", GrpcCode::Internal),
        (path, &[gzip], &framed(true, b"abc"), GrpcCode::Internal),
        (path, &[gzip], &bomb, GrpcCode::ResourceExhausted),
        (path, &[], &large, GrpcCode::ResourceExhausted),
        (
            path,
            &[],
            b"\0\xff\xff\xff\xff",
            GrpcCode::ResourceExhausted,
        ),
    ] {
        server.grpc(path, headers, body).await.assert_grpc(code);
    }
    let json = [("content-type", "application/grpc+json")];
    let reply = server.grpc(path, &json, b"").await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let grpc = [("content-type", "application/grpc")];
    let reply = server.http("POST", path, &grpc, &framed(false, b"")).await;
    assert_eq!(reply.status, StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    assert_eq!(server.bodies(), []);
}

#[tokio::test]
async fn only_known_tokens_get_in() {
    let tokens = ["one", "two"].map(Token::new).to_vec();
    let server = Fixture::start(
        Answer::Accepted,
        ServerOptions {
            tokens,
            ..options()
        },
    )
    .await;
    let path = grpc::path(Signal::Traces);
    for (value, let_in) in [
        (None, false),
        (Some("Bearer three"), false),
        (Some("Basic one"), false),
        (Some("Bearer "), false),
        (Some("Bearer one"), true),
        (Some("bearer two"), true),
    ] {
        let headers: Vec<_> = value
            .map(|value| ("authorization", value))
            .into_iter()
            .collect();
        let http = [headers.as_slice(), &[PROTOBUF]].concat();
        let reply = server.http("POST", TRACES, &http, b"").await;
        assert_eq!(
            reply.status.as_u16(),
            if let_in { 200 } else { 401 },
            "{value:?}"
        );
        let code = if let_in {
            GrpcCode::Ok
        } else {
            GrpcCode::Unauthenticated
        };
        server
            .grpc(path, &headers, &framed(false, b""))
            .await
            .assert_grpc(code);
    }
    let seen = server.seen.lock().expect("lock");
    let tokens: Vec<_> = seen
        .iter()
        .filter_map(|it| it.token.as_ref())
        .map(Token::reveal)
        .collect();
    assert_eq!(tokens, ["one", "one", "two", "two"]);
}

#[tokio::test]
async fn a_spent_budget_is_overload() {
    let options = ServerOptions {
        in_flight_bytes_max: 1_000,
        ..options()
    };
    let server = Fixture::start(Answer::Accepted, options).await;
    let body = [1; 1_001];
    let reply = server.http("POST", TRACES, &[PROTOBUF], &body).await;
    reply.assert_http(503, GrpcCode::Unavailable);
    assert_eq!(reply.header("retry-after"), "1");
    let reply = server
        .grpc(grpc::path(Signal::Logs), &[], &framed(false, &body))
        .await;
    reply.assert_grpc(GrpcCode::Unavailable);
    // What was held is given back.
    let reply = server
        .http("POST", TRACES, &[PROTOBUF], &body[..1_000])
        .await;
    assert_eq!(reply.status, StatusCode::OK);
}
