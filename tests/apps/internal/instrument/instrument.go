// Package instrument wraps a service's routes in what a careful Go team gives them: a span, a
// request histogram with exemplars and a log line; and it makes them fare as they are told to.
package instrument

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"

	"davy.dev/apps/internal/behave"
	"davy.dev/apps/internal/serve"
	"davy.dev/apps/internal/telemetry"
)

// statusClientGone is nginx's code for a client that hung up before it was answered.
const statusClientGone = 499

// NativeFactor bounds the growth from one native bucket to the next. client_golang picks the
// widest schema that keeps it: 2^(1/32) = 1.0219, schema 5.
const NativeFactor = 1.022

// buckets are the classic bounds, finest where this service's P99 lies.
var buckets = []float64{
	.005, .01, .025, .05, .075, .1, .15, .2, .23, .27, .31, .36, .42, .5, .75, 1, 2.5, 5,
}

// Answer computes a status code and the value to send as JSON.
type Answer func(*http.Request) (int, any)

// Route is one kind of request.
type Route struct {
	// Pattern is http.ServeMux's: a method and a path, such as "GET /products/{id}".
	Pattern string
	Fares   behave.Route
	Answer  Answer
}

// Service holds what all routes share.
type Service struct {
	Logger  *slog.Logger
	Planner *behave.Planner
	// LogEvery writes a line for each n-th request; failed requests are always logged.
	LogEvery uint64

	started  time.Time
	requests atomic.Uint64
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	unlogged prometheus.Counter
}

// NewRegistry returns a registry with the Go runtime's, the process's and the build's metrics.
func NewRegistry(service string, build telemetry.Build) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        service + "_build_info",
		Help:        "Always 1; says what this binary was built from.",
		ConstLabels: prometheus.Labels{"version": build.Version, "commit": build.Commit},
	})
	info.Set(1)
	registry.MustRegister(info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// Mount adds the routes to mux and their metrics to registry.
func (s *Service) Mount(mux *http.ServeMux, registry *prometheus.Registry, routes []Route) {
	s.started = time.Now()
	s.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:                        "http_request_duration_seconds",
		Help:                        "Time from a request's arrival to its answer.",
		Buckets:                     buckets,
		NativeHistogramBucketFactor: NativeFactor,
		// At schema 5, enough for values that differ by a factor of 1,000.
		NativeHistogramMaxBucketNumber:  320,
		NativeHistogramMinResetDuration: time.Hour,
	}, []string{"route", "method", "code"})
	s.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "http_requests_in_flight", Help: "Requests that are not answered yet.",
	})
	s.unlogged = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "log_lines_lost_total", Help: "Log lines that could not be written.",
	})
	registry.MustRegister(s.duration, s.inFlight, s.unlogged)
	for index, route := range routes {
		mux.Handle(route.Pattern, otelhttp.NewHandler(s.handler(index, route), route.Pattern,
			otelhttp.WithSpanNameFormatter(func(pattern string, _ *http.Request) string {
				return pattern
			})))
	}
}

func (s *Service) handler(index int, route Route) http.Handler {
	method, path, _ := strings.Cut(route.Pattern, " ")
	byRoute := s.duration.MustCurryWith(prometheus.Labels{"route": path, "method": method})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		n := s.requests.Add(1)
		s.inFlight.Inc()
		defer s.inFlight.Dec()
		code := s.answer(w, r, route, start, s.Planner.Plan(index, n))
		took := time.Since(start)
		observe(r.Context(), byRoute.WithLabelValues(strconv.Itoa(code)), took)
		s.log(r, path, code, took, n)
	})
}

// answer does the work, waits until the planned end and answers. It returns the status code.
func (s *Service) answer(
	w http.ResponseWriter, r *http.Request, route Route, start time.Time, plan behave.Plan,
) int {
	behave.Burn(plan.CPU)
	code, value := plan.Failure, any(map[string]string{"error": http.StatusText(plan.Failure)})
	if code == 0 {
		code, value = route.Answer(r)
	}
	end := s.started.Add(s.Planner.End(start.Sub(s.started), plan))
	if !wait(r.Context(), time.Until(end)) {
		return statusClientGone
	}
	serve.JSON(w, code, value)
	return code
}

func (s *Service) log(r *http.Request, path string, code int, took time.Duration, n uint64) {
	failed := code >= http.StatusInternalServerError
	if !failed && (s.LogEvery == 0 || n%s.LogEvery != 0) {
		return
	}
	level := slog.LevelInfo
	if failed {
		level = slog.LevelError
	}
	// Without the caller's place, which slog would look up for nothing.
	record := slog.NewRecord(time.Now(), level, "request", 0)
	record.AddAttrs(
		slog.String("method", r.Method), slog.String("route", path),
		slog.String("path", r.URL.Path), slog.Int("status", code),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000))
	if err := s.Logger.Handler().Handle(r.Context(), record); err != nil {
		s.unlogged.Inc()
	}
}

// observe records a duration, with the trace as its exemplar when the trace is kept.
func observe(ctx context.Context, histogram prometheus.Observer, took time.Duration) {
	span := trace.SpanContextFromContext(ctx)
	if exemplars, ok := histogram.(prometheus.ExemplarObserver); ok && span.IsSampled() {
		exemplars.ObserveWithExemplar(took.Seconds(), prometheus.Labels{
			"trace_id": span.TraceID().String(), "span_id": span.SpanID().String(),
		})
		return
	}
	histogram.Observe(took.Seconds())
}

// wait returns false when the client has gone before the time was over.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
