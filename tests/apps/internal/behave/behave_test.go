package behave

import (
	"math"
	"slices"
	"testing"
	"time"
)

var mix3 = []Route{
	{Share: 0.5, Latency: 1, CPU: 1},
	{Share: 0.3, Latency: 0.4, CPU: 0.5},
	{Share: 0.2, Latency: 2, CPU: 3},
}

// The route of request n, in proportion to the shares.
func routeOf(n uint64) int {
	switch u := NewDraw(99, n).Uniform(7); {
	case u < 0.5:
		return 0
	case u < 0.8:
		return 1
	default:
		return 2
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s: got %g, want %g within %g", what, got, want, tolerance)
	}
}

// The 99 % quantile of the standard normal distribution, from published tables.
const z99 = 2.3263478740

func TestQuantileOfOneRoute(t *testing.T) {
	for _, c := range []struct{ p, z float64 }{
		{0.5, 0}, {0.9, 1.2815515655}, {0.99, z99}, {0.01, -z99},
	} {
		near(t, "quantile", Quantile(time.Second, c.p).Seconds(), math.Exp(0.7*c.z), 1e-6)
	}
}

func TestOneRouteHasTheP99AskedFor(t *testing.T) {
	median := Medians([]Route{{Share: 1, Latency: 1, CPU: 1}}, 230*time.Millisecond)[0]
	near(t, "median", median.Seconds(), 0.230/math.Exp(0.7*z99), 1e-6)
}

// Guarantees: P99 over the whole mix, the error rate and the mean CPU time are those asked for.
func TestAMixHasTheP99ErrorRateAndCPUAskedFor(t *testing.T) {
	const requests = 400_000
	planner := NewPlanner(Settings{
		Seed: 7, P99: 230 * time.Millisecond, ErrorRate: 0.0045, CPUPerRequest: 400 * time.Microsecond,
	}, mix3)
	latencies := make([]float64, 0, requests)
	errors, cpu := 0.0, 0.0
	for n := range uint64(requests) {
		plan := planner.Plan(routeOf(n), n)
		latencies = append(latencies, plan.Latency.Seconds())
		cpu += plan.CPU.Seconds()
		if plan.Failure != 0 {
			errors++
		}
	}
	slices.Sort(latencies)
	// Four standard errors each.
	near(t, "P99", latencies[requests*99/100], 0.230, 0.004)
	near(t, "error rate", errors/requests, 0.0045, 4*math.Sqrt(0.0045/requests))
	near(t, "CPU", cpu/requests, 400e-6, 3e-6)
}

func TestZeroKnobsDoNothing(t *testing.T) {
	plan := NewPlanner(Settings{}, mix3).Plan(0, 1)
	if plan != (Plan{}) {
		t.Errorf("got %+v", plan)
	}
}

func TestWorsenTouchesOneRoute(t *testing.T) {
	settings := Settings{Seed: 3, P99: time.Second}
	plain, worse := NewPlanner(settings, mix3), NewPlanner(settings, mix3)
	worse.Worsen(1, 2)
	near(t, "worse", worse.Plan(1, 5).Latency.Seconds()/plain.Plan(1, 5).Latency.Seconds(), 2, 1e-6)
	near(t, "same", worse.Plan(0, 5).Latency.Seconds()/plain.Plan(0, 5).Latency.Seconds(), 1, 0)
}

func TestDrawsAreRepeatableAndDiffer(t *testing.T) {
	if NewDraw(1, 2).Uniform(0) != NewDraw(1, 2).Uniform(0) {
		t.Error("the same seed and number gave another draw")
	}
	if NewDraw(1, 2).Uniform(0) == NewDraw(2, 2).Uniform(0) {
		t.Error("two seeds gave the same draw")
	}
}

func TestStallHoldsEveryRequest(t *testing.T) {
	stall := Stall{Every: 10 * time.Second, For: time.Second}
	for _, c := range []struct{ at, want time.Duration }{
		{0, 0}, {9999 * time.Millisecond, 9999 * time.Millisecond},
		{10 * time.Second, 11 * time.Second}, {10500 * time.Millisecond, 11 * time.Second},
		{11 * time.Second, 11 * time.Second}, {20 * time.Second, 21 * time.Second},
	} {
		if got := stall.Hold(c.at); got != c.want {
			t.Errorf("at %v: got %v, want %v", c.at, got, c.want)
		}
	}
	planner := NewPlanner(Settings{Stall: stall}, mix3)
	plan := Plan{Latency: 200 * time.Millisecond}
	if got := planner.End(9900*time.Millisecond, plan); got != 11*time.Second {
		t.Errorf("a request in flight was not held: %v", got)
	}
}

// Guarantees: what is burnt is the thread's CPU time, whatever else the machine does.
func TestBurnUsesTheCPUTimeAskedFor(t *testing.T) {
	const rounds, each = 50, 400 * time.Microsecond
	before := processTime(t)
	for range rounds {
		Burn(each)
	}
	near(t, "CPU", (processTime(t)-before).Seconds()/rounds, each.Seconds(), 0.15*each.Seconds())
}
