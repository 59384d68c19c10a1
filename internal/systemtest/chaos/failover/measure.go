package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// settle is how long the cluster is left alone between being well and the next kill.
const settle = time.Second

// acks are the moments at which writes were acknowledged, since the last kill.
type acks struct {
	mu   sync.Mutex
	at   time.Time     // the last one, or the kill
	gap  time.Duration // the longest time without one
	n    int
	errs int
}

func (a *acks) note(at time.Time, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.errs++
		return
	}
	a.n++
	a.gap = max(a.gap, at.Sub(a.at))
	a.at = at
}

// since begins anew, at a kill.
func (a *acks) since(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at, a.gap, a.n, a.errs = at, 0, 0, 0
}

// until ends what since began.
func (a *acks) until(at time.Time) (gap time.Duration, n, errs int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(a.gap, at.Sub(a.at)), a.n, a.errs
}

// measure kills the leader so many times, under writes, and returns the longest time without
// an acknowledged write after each kill.
func measure(ctx context.Context, c *cluster, kills, writers int, patience time.Duration, verbose bool) ([]time.Duration, error) {
	writing, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var a acks
	for w := range writers {
		wg.Go(func() { write(writing, c, w, patience, &a) })
	}
	var gaps []time.Duration
	for range kills {
		pause(ctx, settle+time.Duration(rand.Int64N(int64(settle))))
		leader, err := c.leader(ctx, rand.IntN(servers))
		if ctx.Err() != nil {
			return gaps, nil
		}
		if err != nil {
			return gaps, err
		}
		if leader < 0 {
			return gaps, fmt.Errorf("%s has no leader though nothing was done to it", c.name())
		}
		a.since(time.Now())
		c.kill(leader)
		// Started again once the others have had the time to do without it.
		pause(ctx, 2*settle)
		if err := c.launch(leader); err != nil {
			return gaps, err
		}
		if err := c.well(ctx); err != nil {
			if ctx.Err() != nil {
				return gaps, nil
			}
			return gaps, err
		}
		gap, n, errs := a.until(time.Now())
		gaps = append(gaps, gap)
		if verbose {
			fmt.Printf("kill %d of server %d: %v without writes; %d writes, %d errors\n", len(gaps), leader, gap.Round(time.Millisecond), n, errs)
		}
	}
	return gaps, nil
}

// write writes one key after the other, and goes on to the next server when one
// fails or takes too long.
func write(ctx context.Context, c *cluster, w int, patience time.Duration, a *acks) {
	at := w
	for n := 0; ctx.Err() == nil; n++ {
		asked, cancel := context.WithTimeout(ctx, patience)
		err := c.put(asked, at%servers, fmt.Sprintf("failover/%d/%d", w, n%100), fmt.Sprint(n))
		cancel()
		a.note(time.Now(), err)
		if err != nil {
			at++
			pause(ctx, 5*time.Millisecond)
		}
	}
}
