//! Pure core of the agent: bytes in, OTLP bytes out.
