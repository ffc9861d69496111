package behave

import (
	"math"
	"time"
)

// Sigma is the standard deviation of the logarithm of every route's latency.
const Sigma = 0.7

// Route is one kind of request: its part of the traffic, and how it compares with the others.
type Route struct {
	// Share of the requests, in (0, 1]; the shares of all routes add up to 1.
	Share float64
	// Latency of the median request, relative to the other routes.
	Latency float64
	// CPU time of a request, relative to the other routes.
	CPU float64
}

// Quantile is the inverse of the lognormal distribution function with the given median and Sigma.
func Quantile(median time.Duration, p float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(Sigma*math.Sqrt2*math.Erfinv(2*p-1)))
}

// Medians returns the median latency of each route such that p99 is the 99 % quantile over all
// requests together. It bisects, since a mixture's quantile has no closed form.
func Medians(routes []Route, p99 time.Duration) []time.Duration {
	below := func(unit float64) float64 {
		total := 0.0
		for _, r := range routes {
			z := math.Log(float64(p99)/(unit*r.Latency)) / Sigma
			total += r.Share * math.Erfc(-z/math.Sqrt2) / 2
		}
		return total
	}
	medians := make([]time.Duration, len(routes))
	if p99 <= 0 {
		return medians
	}
	low, high := float64(p99)*1e-6, float64(p99)*1e3
	for range 100 {
		middle := math.Sqrt(low * high)
		if below(middle) > 0.99 {
			low = middle
		} else {
			high = middle
		}
	}
	for i, r := range routes {
		medians[i] = time.Duration(low * r.Latency)
	}
	return medians
}

// CPUTimes returns the CPU time of each route such that their mean over all requests is mean.
func CPUTimes(routes []Route, mean time.Duration) []time.Duration {
	weighted := 0.0
	for _, r := range routes {
		weighted += r.Share * r.CPU
	}
	times := make([]time.Duration, len(routes))
	for i, r := range routes {
		times[i] = time.Duration(float64(mean) * r.CPU / weighted)
	}
	return times
}
