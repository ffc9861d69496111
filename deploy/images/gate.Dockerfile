# davy-gate: one static file and nothing else. From the top of the checkout, after `make build`:
#   docker build -f deploy/images/gate.Dockerfile -t davy-gate .
# BuildKit sets TARGETARCH; an older builder needs --build-arg TARGETARCH=amd64 (or arm64).
ARG TARGETARCH

FROM scratch AS amd64
COPY target/x86_64-unknown-linux-musl/release/davy-gate /davy-gate

FROM scratch AS arm64
COPY target/aarch64-unknown-linux-musl/release/davy-gate /davy-gate

FROM ${TARGETARCH}
# A number, since runAsNonRoot can't look up a name, and there is no /etc/passwd to look in.
USER 65532:65532
# No shell, no /tmp, no /etc/ssl: the CA certificates are built into the program.
# OTLP; HTTP API and page. Both on loopback unless configured.
EXPOSE 4319 9467
# Kubernetes asks /livez and /readyz itself; elsewhere `davy-gate health` tells.
ENTRYPOINT ["/davy-gate"]
CMD ["serve"]
