"""Reads OTLP export requests with Python's protobuf and writes back what it understood.

The same frames as decode/main.go: signal (one byte), on stdout the number of items (four bytes, big
endian), length (likewise), bytes.
"""

import struct
import sys

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def spans(request):
    return sum(len(scope.spans) for entry in request.resource_spans for scope in entry.scope_spans)


def records(request):
    entries = request.resource_logs
    return sum(len(scope.log_records) for entry in entries for scope in entry.scope_logs)


def points(request):
    scopes = [scope for entry in request.resource_metrics for scope in entry.scope_metrics]
    metrics = [metric for scope in scopes for metric in scope.metrics]
    kinds = [(metric, metric.WhichOneof("data")) for metric in metrics]
    return sum(len(getattr(metric, kind).data_points) for metric, kind in kinds if kind)


TYPES = {
    b"m": (ExportMetricsServiceRequest, points),
    b"l": (ExportLogsServiceRequest, records),
    b"t": (ExportTraceServiceRequest, spans),
}


def main():
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(5):
        signal, length = head[:1], struct.unpack(">I", head[1:])[0]
        kind, count = TYPES[signal]
        request = kind()
        request.ParseFromString(source.read(length))
        again = request.SerializeToString(deterministic=True)
        sink.write(signal + struct.pack(">II", count(request), len(again)) + again)


main()
