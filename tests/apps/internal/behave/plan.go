package behave

import (
	"net/http"
	"time"
)

// Settings says how all requests of a service fare.
type Settings struct {
	Seed uint64
	// P99 is the 99 % quantile of latency over all requests.
	P99 time.Duration
	// ErrorRate is the probability of a 5xx answer.
	ErrorRate float64
	// CPUPerRequest is the mean CPU time burnt in a request.
	CPUPerRequest time.Duration
	// Stall holds all requests now and then.
	Stall Stall
}

// Plan is how one request will fare.
type Plan struct {
	Latency time.Duration
	CPU     time.Duration
	// Failure is the status code to answer with, or 0 when the request succeeds.
	Failure int
}

// Planner makes plans.
type Planner struct {
	settings Settings
	medians  []time.Duration
	cpu      []time.Duration
}

// NewPlanner prepares plans for requests of the given routes.
func NewPlanner(settings Settings, routes []Route) *Planner {
	return &Planner{
		settings: settings,
		medians:  Medians(routes, settings.P99),
		cpu:      CPUTimes(routes, settings.CPUPerRequest),
	}
}

// Worsen multiplies the latency of one route.
func (p *Planner) Worsen(route int, factor float64) {
	p.medians[route] = time.Duration(float64(p.medians[route]) * factor)
}

// Plan decides about request number n, which is of the given route.
func (p *Planner) Plan(route int, n uint64) Plan {
	draw := NewDraw(p.settings.Seed, n)
	plan := Plan{Latency: Quantile(p.medians[route], draw.Uniform(0)), CPU: p.cpu[route]}
	if draw.Uniform(1) < p.settings.ErrorRate {
		plan.Failure = http.StatusInternalServerError
		if draw.Uniform(2) < 0.5 {
			plan.Failure = http.StatusServiceUnavailable
		}
	}
	return plan
}

// End returns when a request ends that arrives at a given time; both are times since the start.
func (p *Planner) End(arrival time.Duration, plan Plan) time.Duration {
	return p.settings.Stall.Hold(p.settings.Stall.Hold(arrival) + plan.Latency)
}

// Stall is a service that stands still for For, each time Every has gone by.
type Stall struct{ Every, For time.Duration }

// Hold returns the earliest time, not before at, when the service doesn't stand still.
func (s Stall) Hold(at time.Duration) time.Duration {
	if s.Every <= 0 || s.For <= 0 || at < s.Every {
		return at
	}
	if into := at % s.Every; into < s.For {
		return at - into + s.For
	}
	return at
}
