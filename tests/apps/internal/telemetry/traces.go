// Package telemetry sets up what an ordinary Go service sends and writes about itself: traces and
// metrics through the OpenTelemetry SDK, and a log of JSON lines.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// flushTimeout is how long a stopping service waits for its last spans and points to be sent.
const flushTimeout = 2 * time.Second

// Build is what the linker was told about this binary.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Time    string `json:"build_time"`
}

// Providers are the SDK's roots.
type Providers struct {
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
	stop   []func(context.Context) error
}

// Start builds the providers that OTEL_TRACES_EXPORTER (default otlp) and OTEL_METRICS_EXPORTER
// (default none, since the service is scraped) ask for, and makes them the process's own.
// Sampler, endpoints, headers and intervals are read by the SDK from its usual variables.
func Start(ctx context.Context, service string, build Build) (*Providers, error) {
	// The SDK's complaints about its backend don't belong into the service's own log.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		fmt.Fprintln(os.Stderr, "opentelemetry:", err)
	}))
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(
		propagation.TraceContext{}, propagation.Baggage{}))
	about, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", service),
			attribute.String("service.version", build.Version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe the service: %w", err)
	}
	p := &Providers{Tracer: tracenoop.NewTracerProvider(), Meter: metricnoop.NewMeterProvider()}
	if err := p.startTraces(ctx, about); err != nil {
		return nil, err
	}
	if err := p.startMetrics(ctx, about); err != nil {
		return nil, err
	}
	otel.SetTracerProvider(p.Tracer)
	otel.SetMeterProvider(p.Meter)
	return p, nil
}

// Stop sends what is still held, within two seconds.
func (p *Providers) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	var failed error
	for _, stop := range p.stop {
		failed = errors.Join(failed, stop(ctx))
	}
	return failed
}

func (p *Providers) startTraces(ctx context.Context, about *resource.Resource) error {
	wanted, err := wantsOTLP("OTEL_TRACES_EXPORTER", "otlp")
	if err != nil || !wanted {
		return err
	}
	var exporter sdktrace.SpanExporter
	switch protocol := protocolOf("TRACES"); protocol {
	case "grpc":
		exporter, err = otlptracegrpc.New(ctx)
	case "http/protobuf":
		exporter, err = otlptracehttp.New(ctx)
	default:
		err = fmt.Errorf("OTLP protocol %q: want grpc or http/protobuf", protocol)
	}
	if err != nil {
		return fmt.Errorf("export traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	p.Tracer, p.stop = provider, append(p.stop, provider.Shutdown)
	return nil
}

func (p *Providers) startMetrics(ctx context.Context, about *resource.Resource) error {
	wanted, err := wantsOTLP("OTEL_METRICS_EXPORTER", "none")
	if err != nil || !wanted {
		return err
	}
	var exporter sdkmetric.Exporter
	switch protocol := protocolOf("METRICS"); protocol {
	case "grpc":
		exporter, err = otlpmetricgrpc.New(ctx)
	case "http/protobuf":
		exporter, err = otlpmetrichttp.New(ctx)
	default:
		err = fmt.Errorf("OTLP protocol %q: want grpc or http/protobuf", protocol)
	}
	if err != nil {
		return fmt.Errorf("export metrics: %w", err)
	}
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)), sdkmetric.WithResource(about))
	p.Meter, p.stop = provider, append(p.stop, provider.Shutdown)
	return nil
}

func wantsOTLP(variable, fallback string) (bool, error) {
	value := os.Getenv(variable)
	if os.Getenv("OTEL_SDK_DISABLED") == "true" {
		value = "none"
	}
	if value == "" {
		value = fallback
	}
	switch value {
	case "otlp":
		return true, nil
	case "none":
		return false, nil
	}
	return false, fmt.Errorf("%s: %q is neither otlp nor none", variable, value)
}

func protocolOf(signal string) string {
	for _, name := range []string{
		"OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL",
	} {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return "http/protobuf"
}
