"""A real OpenTelemetry SDK that sends traces, metrics and logs, and says what it sent.

    send.py ENDPOINT grpc|http/protobuf COUNT

Prints one JSON object: every span, log record and data point with its attributes, as the SDK holds them.
"""

import json
import logging
import sys

from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

ATTRIBUTES = {
    "text": "lamp, {id}=\"1\"\n\u2028 ünïcode \U0001f426",
    "empty": "",
    "int": -(2**53) - 1,
    "int.max": 2**63 - 1,
    "double": 0.1,
    "bool": False,
    "list.text": ("a", "", "ü"),
    "list.int": (1, -1, 0),
    "list.double": (1.5, -0.0),
    "http.route": "/api/orders/{id}",
}


def exporters(endpoint, protocol):
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        options = {"endpoint": endpoint, "insecure": True}
        return OTLPSpanExporter(**options), OTLPMetricExporter(**options), OTLPLogExporter(**options)
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return (
        OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces"),
        OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics"),
        OTLPLogExporter(endpoint=f"{endpoint}/v1/logs"),
    )


def send_spans(tracer, count):
    sent = []
    for n in range(count):
        with tracer.start_as_current_span(f"parent {n}", kind=SpanKind.SERVER, attributes={**ATTRIBUTES, "n": n}) as parent:
            parent.add_event("event", {"text": "ü", "n": n})
            link = Link(parent.get_span_context(), {"why": "test"})
            with tracer.start_as_current_span(f"child {n}", kind=SpanKind.CLIENT, links=[link]) as child:
                child.set_attribute("n", n)
                child.set_status(Status(StatusCode.ERROR, "it broke"))
        for span in (parent, child):
            sent.append(
                {
                    "spanId": f"{span.get_span_context().span_id:016x}",
                    "traceId": f"{span.get_span_context().trace_id:032x}",
                    "name": span.name,
                    "attributes": dict(span.attributes or {}),
                }
            )
    return sent


def main():
    endpoint, protocol, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    resource = Resource.create({"service.name": "sdk", "service.version": "v9", "deployment.environment.name": "test"})
    spans, metrics, logs = exporters(endpoint, protocol)

    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    trace.set_tracer_provider(tracers)

    views = [View(instrument_name="fine", aggregation=ExponentialBucketHistogramAggregation(max_scale=5))]
    reader = PeriodicExportingMetricReader(metrics, export_interval_millis=3_600_000)
    meters = MeterProvider(resource=resource, metric_readers=[reader], views=views)
    meter = meters.get_meter("sdk.meter", "1.2.3")

    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(logs))
    set_logger_provider(loggers)
    logger = logging.getLogger("sdk.logger")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(LoggingHandler(level=logging.DEBUG, logger_provider=loggers))

    sent = {"spans": send_spans(trace.get_tracer("sdk.tracer", "1.2.3"), count)}

    counter = meter.create_counter("orders", unit="1", description="orders taken")
    coarse = meter.create_histogram("coarse", unit="s")
    fine = meter.create_histogram("fine", unit="s")
    updown = meter.create_up_down_counter("open")
    for n in range(count):
        counter.add(n, {"n": n, "kind": "a,b"})
        coarse.record(n * 0.1, {"kind": "ü"})
        fine.record(0.001 * (n + 1), {"kind": "ü"})
        updown.add(-n)
    sent["metrics"] = {"orders": [{"n": n, "kind": "a,b", "value": n} for n in range(count)], "histogram_count": count}

    sent["logs"] = []
    for n in range(count):
        body = f"order {n}: {{\"id\": \"ü\"}}"
        logger.warning(body, extra={"n": n, "route": "/api/orders/{id}"})
        sent["logs"].append({"body": body, "n": n})

    # A provider's shutdown flushes; without it the last batch would stay here.
    tracers.shutdown()
    meters.shutdown()
    loggers.shutdown()
    json.dump(sent, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
