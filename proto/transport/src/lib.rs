//! How OTLP travels: one server for gRPC and HTTP, one client, TLS, tokens, capped bodies.
