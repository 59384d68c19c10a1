package cli

import (
	"context"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

func TestGCPercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 200}, {128 << 20, 200}, {160 << 20, 175}, {192 << 20, 150}, {256 << 20, 100}, {10 << 30, 100},
	} {
		if got := gcPercent(c.live); got != c.want {
			t.Errorf("%d MiB: %d, want %d", c.live>>20, got, c.want)
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
		time.Sleep(2*lookAtHeap + time.Second)
		if got := now(); got <= usualGC {
			t.Errorf("GOGC is %d with the small heap of a test", got)
		}
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
