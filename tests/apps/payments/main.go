// Command payments is the small example service behind shop: it charges for orders.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"davy.dev/apps/internal/behave"
	"davy.dev/apps/internal/instrument"
	"davy.dev/apps/internal/knob"
	"davy.dev/apps/internal/telemetry"
)

// Set by the linker: -X main.version=… -X main.commit=… -X main.buildTime=….
var version, commit, buildTime = "dev", "unknown", "unknown"

type charge struct {
	Order string `json:"order"`
	Cents int64  `json:"cents"`
}

func main() {
	build := telemetry.Build{Version: version, Commit: commit, Time: buildTime}
	set := knob.New(os.LookupEnv)
	knobs := instrument.ReadKnobs(set, "PAYMENTS", instrument.Defaults{
		Address: "127.0.0.1:8081", P99: "12ms", ErrorRate: "0", CPU: "50us",
	})
	instrument.ParseFlags(set, "payments", build)
	registry := instrument.NewRegistry("payments", build)
	charges := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "payments_charges_total", Help: "Charges made.",
	})
	cents := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "payments_charged_cents_total", Help: "Money charged.",
	})
	registry.MustRegister(charges, cents)
	var last atomic.Uint64
	err := instrument.Run(instrument.Program{
		Name: "payments", Build: build, Knobs: knobs, Registry: registry,
		Routes: []instrument.Route{{
			Pattern: "POST /charge",
			Fares:   behave.Route{Share: 1, Latency: 1, CPU: 1},
			Answer: func(r *http.Request) (int, any) {
				var wanted charge
				if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<16)).Decode(&wanted); err != nil {
					return http.StatusBadRequest, map[string]string{"error": err.Error()}
				}
				if wanted.Cents <= 0 {
					return http.StatusUnprocessableEntity, map[string]string{"error": "nothing to charge"}
				}
				charges.Inc()
				cents.Add(float64(wanted.Cents))
				return http.StatusOK, map[string]string{
					"charge": "c" + strconv.FormatUint(last.Add(1), 10), "order": wanted.Order,
				}
			},
		}},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "payments:", err)
		os.Exit(1)
	}
}
