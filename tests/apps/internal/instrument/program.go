package instrument

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"davy.dev/apps/internal/behave"
	"davy.dev/apps/internal/knob"
	"davy.dev/apps/internal/serve"
	"davy.dev/apps/internal/telemetry"
)

// exitUsage is sysexits.h's EX_USAGE.
const exitUsage = 64

// gcPercent lets the small heap of these services grow before it is collected: half of the
// processor's work would be the collector's otherwise. GOGC overrides it.
const gcPercent = 800

// Knobs are the settings every service has; their names start with the service's own prefix.
type Knobs struct {
	Address, AddressFile, LogFile string
	LogEvery                      uint64
	CrashAfter                    time.Duration
	Behave                        behave.Settings
}

// Defaults are where services differ.
type Defaults struct{ Address, P99, ErrorRate, CPU string }

// ReadKnobs declares and reads the settings every service has.
func ReadKnobs(set *knob.Set, prefix string, defaults Defaults) Knobs {
	var k Knobs
	k.Address = set.Text(prefix+"_ADDR", defaults.Address, "where to listen; port 0: any free port")
	k.AddressFile = set.Text(prefix+"_ADDR_FILE", "", "file to write the bound host:port to")
	k.LogFile = set.Text(prefix+"_LOG_FILE", "", "file to append the log to (default: standard output)")
	k.LogEvery = set.Count(prefix+"_LOG_EVERY", "1",
		"log each n-th request (0: none); failed ones always")
	p99 := set.Duration(prefix+"_LATENCY_P99", defaults.P99,
		"99 % quantile of latency over all requests in the usual mix")
	factor := set.Factor(prefix+"_LATENCY_FACTOR", "1", "multiplies the latency of every request")
	k.Behave.P99 = time.Duration(float64(p99) * factor)
	k.Behave.ErrorRate = set.Rate(prefix+"_ERROR_RATE", defaults.ErrorRate,
		"probability of an answer 500 or 503")
	cpu := set.Duration(prefix+"_CPU_PER_REQUEST", defaults.CPU,
		"mean CPU time burnt in a request")
	factor = set.Factor(prefix+"_CPU_FACTOR", "1", "multiplies the CPU time burnt")
	k.Behave.CPUPerRequest = time.Duration(float64(cpu) * factor)
	k.Behave.Stall.Every = set.Duration(prefix+"_STALL_EVERY", "0s",
		"how often all requests are held (0s: never)")
	k.Behave.Stall.For = set.Duration(prefix+"_STALL_FOR", "0s", "for how long they are held")
	k.CrashAfter = set.Duration(prefix+"_CRASH_AFTER", "0s",
		"exit with status 1 after this time (0s: never)")
	k.Behave.Seed = set.Count(prefix+"_SEED", "0",
		"seed of latencies and errors (0: another one each start)")
	if k.Behave.Seed == 0 {
		k.Behave.Seed = uint64(time.Now().UnixNano()) ^ uint64(os.Getpid())<<32
	}
	return k
}

// ParseFlags handles -h and -version, and exits when there is nothing left to do.
func ParseFlags(set *knob.Set, service string, build telemetry.Build) {
	flags := flag.NewFlagSet(service, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	version := flags.Bool("version", false, "print the version")
	err := flags.Parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Printf("%s is an example service. It is set up by environment variables:\n\n", service)
		set.WriteHelp(os.Stdout)
		fmt.Print("\nOpenTelemetry's own variables are honoured: OTEL_TRACES_EXPORTER (otlp), " +
			"OTEL_METRICS_EXPORTER (none),\nOTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, …\n")
		os.Exit(0)
	case err != nil || flags.NArg() > 0:
		fmt.Fprintf(os.Stderr, "%s takes only -h and -version\n", service)
		os.Exit(exitUsage)
	case *version:
		fmt.Println(service, build.Version, build.Commit, build.Time)
		os.Exit(0)
	}
	if err := set.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
}

// Program is a service that is ready to run.
type Program struct {
	Name     string
	Build    telemetry.Build
	Knobs    Knobs
	Routes   []Route
	Registry *prometheus.Registry
	// Worsen changes the plans before the first request; it may be nil.
	Worsen func(*behave.Planner)
}

// Run serves until it is told to stop.
func Run(p Program) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	logger, err := telemetry.NewLogger(p.Knobs.LogFile)
	if err != nil {
		return err
	}
	providers, err := telemetry.Start(context.Background(), p.Name, p.Build)
	if err != nil {
		return err
	}
	fares := make([]behave.Route, len(p.Routes))
	for i, route := range p.Routes {
		fares[i] = route.Fares
	}
	service := &Service{
		Logger: logger, Planner: behave.NewPlanner(p.Knobs.Behave, fares), LogEvery: p.Knobs.LogEvery,
	}
	if p.Worsen != nil {
		p.Worsen(service.Planner)
	}
	mux := http.NewServeMux()
	service.Mount(mux, p.Registry, p.Routes)
	ready := serve.Operations(mux, p.Registry, p.Build)
	if after := p.Knobs.CrashAfter; after > 0 {
		time.AfterFunc(after, func() {
			logger.Error("crashing as told to", "after", after.String())
			os.Exit(1)
		})
	}
	logger.Info("started", "version", p.Build.Version, "seed", p.Knobs.Behave.Seed)
	err = serve.Until(mux, p.Knobs.Address, p.Knobs.AddressFile, ready)
	logger.Info("stopped")
	return errors.Join(err, providers.Stop())
}
