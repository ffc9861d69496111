package instrument

import (
	"bufio"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"davy.dev/apps/internal/behave"
	"davy.dev/apps/internal/serve"
	"davy.dev/apps/internal/telemetry"
)

const path = "/things/{id}"

// start serves one route that fares as told, and the operators' pages.
func start(t *testing.T, settings behave.Settings, log io.Writer) *httptest.Server {
	t.Helper()
	route := Route{
		Pattern: "GET " + path,
		Fares:   behave.Route{Share: 1, Latency: 1, CPU: 1},
		Answer:  func(r *http.Request) (int, any) { return http.StatusOK, r.PathValue("id") },
	}
	service := Service{
		Logger:   slog.New(slog.NewJSONHandler(log, nil)),
		Planner:  behave.NewPlanner(settings, []behave.Route{route.Fares}),
		LogEvery: 1,
	}
	build := telemetry.Build{Version: "v1", Commit: "c", Time: "t"}
	mux, registry := http.NewServeMux(), NewRegistry("test", build)
	service.Mount(mux, registry, []Route{route})
	serve.Operations(mux, registry, build)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func fetch(t *testing.T, url, accept string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// Guarantees: a request takes as long as planned, and is counted and logged under its route.
func TestARequestIsTimedCountedAndLogged(t *testing.T) {
	var log strings.Builder
	server := start(t, behave.Settings{P99: time.Microsecond}, &log)
	response, body := fetch(t, server.URL+"/things/7", "")
	if response.StatusCode != http.StatusOK || body != "\"7\"\n" {
		t.Errorf("answered %d %q", response.StatusCode, body)
	}
	_, metrics := fetch(t, server.URL+"/metrics", "")
	want := `http_request_duration_seconds_count{code="200",method="GET",route="` + path + `"} 1`
	if !strings.Contains(metrics, want) {
		t.Errorf("no %s in the metrics", want)
	}
	// The request for the metrics is answered after the log of the first was written.
	if !strings.Contains(log.String(), `"route":"`+path+`","path":"/things/7","status":200`) {
		t.Errorf("logged %q", log.String())
	}
}

// Guarantees: a planned failure is answered, counted and logged as one.
func TestAPlannedFailureFails(t *testing.T) {
	var log strings.Builder
	server := start(t, behave.Settings{ErrorRate: 1}, &log)
	response, _ := fetch(t, server.URL+"/things/7", "")
	if response.StatusCode != 500 && response.StatusCode != 503 {
		t.Errorf("answered %d", response.StatusCode)
	}
	_, _ = fetch(t, server.URL+"/metrics", "")
	if !strings.Contains(log.String(), `"level":"ERROR"`) {
		t.Errorf("logged %q", log.String())
	}
}

// Guarantees: the native histogram has schema 5, beside the classic buckets.
func TestProtobufHasANativeHistogramOfSchema5(t *testing.T) {
	server := start(t, behave.Settings{}, io.Discard)
	_, _ = fetch(t, server.URL+"/things/7", "")
	response, body := fetch(t, server.URL+"/metrics", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	decoder := expfmt.NewDecoder(
		bufio.NewReader(strings.NewReader(body)), expfmt.ResponseFormat(response.Header))
	for {
		var family dto.MetricFamily
		if err := decoder.Decode(&family); err != nil {
			t.Fatal("the histogram is missing: ", err)
		}
		if family.GetName() != "http_request_duration_seconds" {
			continue
		}
		histogram := family.GetMetric()[0].GetHistogram()
		if histogram.GetSchema() != 5 || len(histogram.GetBucket()) != len(buckets) {
			t.Errorf("schema %d, %d buckets", histogram.GetSchema(), len(histogram.GetBucket()))
		}
		return
	}
}

// Guarantees: /metrics speaks OpenMetrics when asked to.
func TestOpenMetricsByNegotiation(t *testing.T) {
	server := start(t, behave.Settings{}, io.Discard)
	response, body := fetch(t, server.URL+"/metrics", "application/openmetrics-text;version=1.0.0")
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "application/openmetrics-text") ||
		!strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("got %s", response.Header.Get("Content-Type"))
	}
}
