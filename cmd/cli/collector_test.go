package cli

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

func TestGCPercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		busy bool
		want int
	}{
		{0, true, 200}, {128 << 20, true, 200}, {160 << 20, true, 175}, {192 << 20, true, 150}, {256 << 20, true, 100}, {10 << 30, true, 100},
		{0, false, 100}, {192 << 20, false, 100}, {10 << 30, false, 100},
	} {
		if got := gcPercent(c.live, c.busy); got != c.want {
			t.Errorf("%d MiB, busy %v: %d, want %d", c.live>>20, c.busy, got, c.want)
		}
	}
}

func TestCollectorIsTunedAndPutBack(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	now := func() int {
		percent := debug.SetGCPercent(77)
		debug.SetGCPercent(percent)
		return percent
	}
	before := now()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			tuneCollector(ctx)
			close(ended)
		}()
		looks := func(n, cycles, want int) {
			t.Helper()
			for range n {
				time.Sleep(time.Second)
				for range cycles {
					runtime.GC()
				}
				time.Sleep(lookAtHeap - time.Second)
				synctest.Wait()
				if got := now(); got != want {
					t.Errorf("GOGC is %d with the small heap of a test after %d collections, want %d", got, cycles, want)
				}
			}
		}
		looks(1, 0, usualGC)
		looks(1, busyCycles, relaxedGC)
		looks(calmLooks-1, 0, relaxedGC)
		looks(1, busyCycles, relaxedGC)
		looks(calmLooks-1, 0, relaxedGC)
		looks(2, 0, usualGC)
		stop()
		<-ended
	})
	if got := now(); got != before {
		t.Errorf("GOGC is %d afterwards, it was %d", got, before)
	}
	t.Setenv("GOGC", "100")
	tuneCollector(t.Context()) // and returns
	if got := now(); got != before {
		t.Errorf("GOGC is %d though the environment says otherwise", got)
	}
}
