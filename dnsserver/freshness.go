package dnsserver

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// freshnessInterval is how often it is found out how old what is answered from is, and so how late an answer may
// notice: finding it out costs more than an answer.
const freshnessInterval = 100 * time.Millisecond

// freshness knows about how old the catalog is, or whatever else is answered from.
type freshness struct {
	of interface {
		Age() time.Duration
	}
	known atomic.Int64 // a time.Duration
}

func newFreshness(of interface{ Age() time.Duration }) *freshness {
	f := &freshness{of: of}
	f.look()
	return f
}

func (f *freshness) look() { f.known.Store(int64(f.of.Age())) }

// age is how old it was at most freshnessInterval ago.
func (f *freshness) age() time.Duration {
	if f == nil {
		return 0
	}
	return time.Duration(f.known.Load())
}

// seconds is the age as a metric has it.
func (f *freshness) seconds() float64 {
	age := f.of.Age()
	if age == math.MaxInt64 {
		return math.Inf(1)
	}
	return age.Seconds()
}

// serve looks at the age until ctx ends.
func (f *freshness) serve(ctx context.Context) error {
	ticker := time.NewTicker(freshnessInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			f.look()
		}
	}
}
