//go:build linux

package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// MaxDrift is the most by which a clock's rate is made wrong.
const MaxDrift = 0.1

// jumpClock sets the target's wall clock forward or back, by up to two days.
func jumpClock(_ context.Context, a *act) (func() error, error) {
	by := between(a.rand, time.Second, 48*time.Hour)
	if a.rand.IntN(2) == 0 {
		by = -by
	}
	a.note = by.String()
	return func() error { return a.target.SetClock(0, 1) }, a.target.SetClock(by, 1)
}

// driftClock makes the target's clocks fast or slow.
func driftClock(_ context.Context, a *act) (func() error, error) {
	rate := 1 + MaxDrift*(2*a.rand.Float64()-1)
	a.note = fmt.Sprintf("rate %.3f", rate)
	return func() error { return a.target.SetClock(0, 1) }, a.target.SetClock(0, rate)
}

// between draws a duration, in whole milliseconds.
func between(r *rand.Rand, shortest, longest time.Duration) time.Duration {
	if longest <= shortest {
		return shortest
	}
	return shortest + time.Duration(r.Int64N(int64((longest-shortest)/time.Millisecond)+1))*time.Millisecond
}
