# davy-agent: one static file and nothing else. From the top of the checkout, after `make build`:
#   docker build -f deploy/images/agent.Dockerfile -t davy-agent .
# BuildKit sets TARGETARCH; an older builder needs --build-arg TARGETARCH=amd64 (or arm64).
ARG TARGETARCH

FROM scratch AS amd64
COPY target/x86_64-unknown-linux-musl/release/davy-agent /davy-agent

FROM scratch AS arm64
COPY target/aarch64-unknown-linux-musl/release/davy-agent /davy-agent

FROM ${TARGETARCH}
# A number, since runAsNonRoot can't look up a name, and there is no /etc/passwd to look in.
USER 65532:65532
# No shell, no /tmp, no /etc/ssl: the CA certificates are built into the program.
# OTLP over gRPC and HTTP, admin, control; all on loopback unless configured.
EXPOSE 4317 4318 9465 9466
# Kubernetes asks /livez and /readyz itself; elsewhere `davy-agent health` tells.
ENTRYPOINT ["/davy-agent"]
CMD ["run"]
