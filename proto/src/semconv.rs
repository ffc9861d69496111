//! Names on the wire: OpenTelemetry's semantic conventions (1.37) and Davy's own few.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/>. What is `davy.*` is defined here.

/// Length of the HTTP requests a server answered, histogram, seconds.
pub const HTTP_SERVER_REQUEST_DURATION: &str = "http.server.request.duration";
/// Length of the calls an RPC server answered, histogram; the stable name, seconds.
pub const RPC_SERVER_CALL_DURATION: &str = "rpc.server.call.duration";
/// The same under its older name, milliseconds by convention.
pub const RPC_SERVER_DURATION: &str = "rpc.server.duration";
/// CPU seconds used by the process, sum.
pub const PROCESS_CPU_TIME: &str = "process.cpu.time";
/// CPU limit of the app in cores, gauge; Davy's own.
pub const DAVY_CPU_LIMIT: &str = "davy.cpu.limit";
/// Requests by route, method and status, delta sum: sent beside a duration histogram that has no
/// status attribute; Davy's own.
pub const HTTP_SERVER_REQUESTS: &str = "http.server.requests";
/// The same of RPC calls by service, method and status; Davy's own.
pub const RPC_SERVER_REQUESTS: &str = "rpc.server.requests";

/// Matched route of a request, a template such as `/orders/{id}`.
pub const HTTP_ROUTE: &str = "http.route";
/// Method of a request, `GET`.
pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
/// Status code of a response, integer.
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
/// Why a request failed.
pub const ERROR_TYPE: &str = "error.type";
/// Full name of an RPC service.
pub const RPC_SERVICE: &str = "rpc.service";
/// Name of an RPC method.
pub const RPC_METHOD: &str = "rpc.method";
/// Numeric status of a gRPC call, the older name.
pub const RPC_GRPC_STATUS_CODE: &str = "rpc.grpc.status_code";
/// Status of an RPC call, the stable name.
pub const RPC_RESPONSE_STATUS_CODE: &str = "rpc.response.status_code";

/// Logical name of the service.
pub const SERVICE_NAME: &str = "service.name";
/// Namespace of the service.
pub const SERVICE_NAMESPACE: &str = "service.namespace";
/// Version of the service.
pub const SERVICE_VERSION: &str = "service.version";
/// Unique name of the instance.
pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
/// What an SDK writes where no name was given; begins so, the process name may follow.
pub const UNKNOWN_SERVICE: &str = "unknown_service";
/// When the process was started: RFC 3339 text.
pub const PROCESS_CREATION_TIME: &str = "process.creation.time";
/// Name of the host.
pub const HOST_NAME: &str = "host.name";
/// Namespace of the pod.
pub const K8S_NAMESPACE_NAME: &str = "k8s.namespace.name";
/// Name of the pod.
pub const K8S_POD_NAME: &str = "k8s.pod.name";
/// UID of the pod.
pub const K8S_POD_UID: &str = "k8s.pod.uid";
/// Name of the node.
pub const K8S_NODE_NAME: &str = "k8s.node.name";
/// Name of the container.
pub const K8S_CONTAINER_NAME: &str = "k8s.container.name";
/// Hash of the pod template that Argo Rollouts sets.
pub const K8S_ROLLOUTS_POD_TEMPLATE_HASH: &str = "k8s.pod.label.rollouts-pod-template-hash";
/// Hash of the pod template that a Deployment sets.
pub const K8S_POD_TEMPLATE_HASH: &str = "k8s.pod.label.pod-template-hash";
/// The arm by name, where someone sets it; Davy's own.
pub const DAVY_ARM: &str = "davy.arm";
/// Commit the service was built from, as OpenTelemetry names it.
pub const VCS_REF_HEAD_REVISION: &str = "vcs.ref.head.revision";
/// Where the window's latencies come from: `histogram` or `spans`; Davy's own, on the resource.
pub const DAVY_EVIDENCE_SOURCE: &str = "davy.evidence.source";
