package cli

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The garbage collector's work is the state that is marked, once each time that as much again
// was allocated as GOGC says. A server with a small state collects very often, a sixth of its
// CPU under writes, to save memory that it has plenty of; one with a large state needs that. So
// GOGC is more than usual while the state is small and there is much to collect.
const (
	smallHeap, largeHeap = 128 << 20, 256 << 20
	relaxedGC, usualGC   = 200, 100
	// gcStep is the least change of GOGC that is worth the pause which it takes.
	gcStep = 20
	// From busyCycles collections between two looks on GOGC is relaxed. After calmLooks looks in a row
	// with fewer it is no longer: whoever collects so rarely has no use for more memory.
	busyCycles, calmLooks = 3, 12
	// lookAtHeap is how often the size of the heap is looked at. It doubles rarely faster.
	lookAtHeap = 5 * time.Second
)

// gcPercent is GOGC for a heap of which so many bytes are alive, of a process that has much to collect, or not.
func gcPercent(live uint64, busy bool) int {
	switch {
	case !busy || live >= largeHeap:
		return usualGC
	case live <= smallHeap:
		return relaxedGC
	}
	return relaxedGC - int((live-smallHeap)*(relaxedGC-usualGC)/(largeHeap-smallHeap))
}

// tuneCollector keeps GOGC at what suits the heap until ctx ends, and then puts it back. It
// leaves alone what the environment says.
func tuneCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	before := debug.SetGCPercent(usualGC)
	defer debug.SetGCPercent(before)
	set := usualGC
	metrics.Read(sample)
	cycles := sample[1].Value.Uint64()
	calm := calmLooks
	look := time.NewTicker(lookAtHeap)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		metrics.Read(sample)
		had := cycles
		cycles = sample[1].Value.Uint64()
		if calm++; cycles-had >= busyCycles {
			calm = 0
		}
		want := gcPercent(sample[0].Value.Uint64(), calm < calmLooks)
		if want != set && (want-set >= gcStep || set-want >= gcStep || want == usualGC) {
			debug.SetGCPercent(want)
			set = want
		}
	}
}
