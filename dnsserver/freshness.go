package dnsserver

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"herald/registry/catalog"
)

// freshnessInterval is how often it is found out how old the catalog is, and so how late an answer may
// notice: finding it out costs more than an answer.
const freshnessInterval = 100 * time.Millisecond

// freshness knows about how old the catalog is.
type freshness struct {
	catalog *catalog.Catalog
	known   atomic.Int64 // a time.Duration
}

func newFreshness(c *catalog.Catalog) *freshness {
	f := &freshness{catalog: c}
	f.look()
	return f
}

func (f *freshness) look() { f.known.Store(int64(f.catalog.Age())) }

// age is how old the catalog was at most freshnessInterval ago.
func (f *freshness) age() time.Duration {
	if f == nil {
		return 0
	}
	return time.Duration(f.known.Load())
}

// seconds is the age as a metric has it.
func (f *freshness) seconds() float64 {
	age := f.catalog.Age()
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
