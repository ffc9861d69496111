// Package behave decides how a request fares: how long it takes, what it costs and whether it
// fails. The decisions are pure functions of the settings, a seed and the request's number.
package behave

// Draw is the chance of one request: the same seed and number always give the same numbers.
type Draw struct{ state uint64 }

// NewDraw returns the chance of request number n.
func NewDraw(seed, n uint64) Draw { return Draw{state: mix(seed ^ mix(n))} }

// Uniform returns the k-th number of this request, uniform in the open interval (0, 1).
func (d Draw) Uniform(k uint64) float64 {
	return (float64(mix(d.state+k)>>11) + 0.5) / (1 << 53)
}

// mix is splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
