package behave

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// processTime is the CPU time of the whole process, from another clock than Burn's.
func processTime(t *testing.T) time.Duration {
	t.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
