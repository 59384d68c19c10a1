package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// paced runs a pacer and returns when each write went.
func paced(ctx context.Context, p pacer) (at []time.Duration, n int) {
	begin := time.Now()
	writes := make(chan int)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range writes {
			at = append(at, time.Since(begin))
		}
	}()
	n = p.run(ctx, writes)
	close(writes)
	<-done
	return at, n
}

func open(int) bool { return true }

func TestPacerKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, n := paced(t.Context(), pacer{rate: 50, window: 2 * time.Second, limit: 1000, mayGo: open})
		if n != 100 || len(at) != 100 {
			t.Fatalf("%d writes went, %d are reported, want 100", len(at), n)
		}
		for i, d := range at {
			if want := time.Duration(i) * 20 * time.Millisecond; d != want {
				t.Fatalf("write %d went after %v, want %v", i, d, want)
			}
		}
	})
}

func TestPacerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, n := paced(t.Context(), pacer{rate: 50, window: time.Second, limit: 10, mayGo: open}); n != 10 {
			t.Errorf("%d writes of at most 10", n)
		}
		if _, n := paced(t.Context(), pacer{rate: 50, window: time.Second, limit: 1000, mayGo: func(i int) bool { return i < 7 }}); n != 7 {
			t.Errorf("%d writes went through a gate for 7", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 490*time.Millisecond)
		defer cancel()
		if _, n := paced(ctx, pacer{rate: 50, window: time.Second, limit: 1000, mayGo: open}); n != 25 {
			t.Errorf("%d writes until it was stopped, want 25", n)
		}
	})
}

// What the gate held back is made up for once it opens.
func TestPacerCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		at, n := paced(t.Context(), pacer{rate: 100, window: time.Second, limit: 1000,
			mayGo: func(int) bool { return time.Since(begin) >= 500*time.Millisecond }})
		if n != 100 || at[0] < 500*time.Millisecond || at[49] != at[0] || at[99] != 990*time.Millisecond {
			t.Errorf("%d writes, the first after %v, the 50th after %v, the last after %v", n, at[0], at[49], at[99])
		}
	})
}
