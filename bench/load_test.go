package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// every answers after d.
func every(d time.Duration) asker {
	return func(ctx context.Context) error {
		if !pause(ctx, d) {
			return ctx.Err()
		}
		return nil
	}
}

func TestClosedLoopCountsWhatItMeasures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		// Odd times, so that no answer comes at the very edge of the window.
		got, err := closedLoop(t.Context(), []asker{every(7 * time.Millisecond), every(130 * time.Millisecond)}, 100*time.Millisecond, time.Second, func() error {
			at = append(at, time.Since(begin))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(at) != 2 || at[0] != 100*time.Millisecond || at[1] != 1100*time.Millisecond {
			t.Errorf("measured at %v", at)
		}
		// Multiples of 7 and of 130 between 100 and 1100: 143 and 8.
		if got.latency.n != 143+8 || got.failed != 0 || got.failure != nil {
			t.Errorf("%d answers, %d failures, %v, want 151", got.latency.n, got.failed, got.failure)
		}
		if got.latency.longest != 130*time.Millisecond || got.latency.quantile(0.9) > 8*time.Millisecond {
			t.Errorf("p90 %v, longest %v", got.latency.quantile(0.9), got.latency.longest)
		}
	})
}

func TestClosedLoopCountsFailures(t *testing.T) {
	broken := errors.New("broken")
	synctest.Test(t, func(t *testing.T) {
		got, err := closedLoop(t.Context(), []asker{every(7 * time.Millisecond), func(context.Context) error { return broken }},
			95*time.Millisecond, time.Second, func() error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		// Every 10 ms from 100 to 1090.
		if got.failed != 100 || !errors.Is(got.failure, broken) {
			t.Errorf("%d failures, %v, want 100", got.failed, got.failure)
		}
	})
}

func TestClosedLoopFails(t *testing.T) {
	broken := errors.New("broken")
	fine := func() error { return nil }
	tests := []struct {
		name     string
		ask      asker
		measured func() error
		within   time.Duration // how long it may take
		want     error
	}{
		{"nothing is answered", func(context.Context) error { return broken }, fine, 2 * time.Second, broken},
		{"it cannot be measured", every(time.Millisecond), func() error { return broken }, time.Second, broken},
		{"a request hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, fine, 2*time.Second + afterwards, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				_, err := closedLoop(t.Context(), []asker{tt.ask}, 0, time.Second, tt.measured)
				if !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				if took := time.Since(begin); took > tt.within {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
