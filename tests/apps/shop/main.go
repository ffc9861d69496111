// Command shop is the example service that everything is tried on: an ordinary Go web service
// whose latency, errors and CPU time can be made worse on purpose.
package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"davy.dev/apps/internal/behave"
	"davy.dev/apps/internal/instrument"
	"davy.dev/apps/internal/knob"
	"davy.dev/apps/internal/telemetry"
)

// Set by the linker: -X main.version=… -X main.commit=… -X main.buildTime=….
var version, commit, buildTime = "dev", "unknown", "unknown"

func main() {
	build := telemetry.Build{Version: version, Commit: commit, Time: buildTime}
	set := knob.New(os.LookupEnv)
	knobs := instrument.ReadKnobs(set, "SHOP", instrument.Defaults{
		Address: "127.0.0.1:8080", P99: "230ms", ErrorRate: "0.0012", CPU: "130us",
	})
	payments := set.URL("SHOP_PAYMENTS_URL", "", "where orders are charged (default: nowhere)")
	leak := set.Count("SHOP_LEAK_BYTES_PER_SECOND", "0", "memory that is never given back")
	badRoute := set.Text("SHOP_BAD_ROUTE", "", `route to slow down, such as "GET /search"`)
	badFactor := set.Factor("SHOP_BAD_ROUTE_FACTOR", "1", "multiplies that route's latency")

	registry := instrument.NewRegistry("shop", build)
	routes := newShop(registry, payments).routes()
	bad := slices.IndexFunc(routes, func(r instrument.Route) bool { return r.Pattern == badRoute })
	if badRoute != "" && bad < 0 {
		set.Reject("SHOP_BAD_ROUTE", fmt.Sprintf("%q is not a route", badRoute))
	}
	instrument.ParseFlags(set, "shop", build)
	if leak > 0 {
		go leakMemory(leak)
	}
	err := instrument.Run(instrument.Program{
		Name: "shop", Build: build, Knobs: knobs, Registry: registry, Routes: routes,
		Worsen: func(planner *behave.Planner) {
			if bad >= 0 {
				planner.Worsen(bad, badFactor)
			}
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// leakMemory keeps ever more memory, in ten steps a second, and touches it so that it is resident.
func leakMemory(perSecond uint64) {
	var kept [][]byte
	for range time.Tick(100 * time.Millisecond) {
		block := make([]byte, perSecond/10)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		kept = append(kept, block)
	}
	_ = kept
}
