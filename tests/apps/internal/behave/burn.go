package behave

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Burn uses up the given CPU time. It counts the thread's own CPU time, not the wall clock's, so
// that a request costs the same on a busy machine as on an idle one. Linux only.
func Burn(d time.Duration) {
	if d <= 0 {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	until := threadTime() + d
	for threadTime() < until {
		spin()
	}
}

func threadTime() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now) != nil {
		panic("the thread's CPU clock is missing")
	}
	return time.Duration(now.Nano())
}

// spin is about 2 µs of work: reading the clock must not be most of what is burnt.
//
//go:noinline
func spin() uint64 {
	x := uint64(1)
	for range 700 {
		x = mix(x)
	}
	return x
}
