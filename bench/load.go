package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// asker is one client: it makes one request and waits for the answer.
type asker func(context.Context) error

// newAsker makes client i of a round, which asks over conn.
type newAsker func(ctx context.Context, conn *clientv3.Client, i int) (asker, error)

// Phases of a round.
const (
	warming int32 = iota
	measuring
	over
)

const (
	// afterwards is how long requests that are under way at the end of a round may take.
	afterwards = 15 * time.Second
	// failurePause keeps a client whose requests fail at once from doing nothing else.
	failurePause = 10 * time.Millisecond
)

// tally is what one client saw while it was measured.
type tally struct {
	latency histogram
	failed  int
	failure error // the first, of the whole round
}

// closedLoop has clients each ask again as soon as they are answered: for warm unmeasured, and then for window.
// measured is called at the beginning and at the end of that.
//
// It owns a goroutine for each asker and returns once all have ended.
func closedLoop(ctx context.Context, askers []asker, warm, window time.Duration, measured func() error) (*tally, error) {
	ctx, cancel := context.WithTimeout(ctx, warm+window+afterwards)
	defer cancel()
	var (
		phase   atomic.Int32
		wg      sync.WaitGroup
		tallies = make([]tally, len(askers))
	)
	for i, ask := range askers {
		wg.Go(func() { tallies[i].loop(ctx, ask, &phase) })
	}
	err := func() error {
		defer phase.Store(over)
		if !pause(ctx, warm) {
			return ctx.Err()
		}
		if err := measured(); err != nil {
			return err
		}
		phase.Store(measuring)
		if !pause(ctx, window) {
			return ctx.Err()
		}
		phase.Store(over)
		return measured()
	}()
	if err != nil {
		cancel()
	}
	wg.Wait()

	sum := new(tally)
	for i := range tallies {
		sum.merge(&tallies[i])
	}
	if err == nil && sum.latency.n == 0 {
		err = errors.Join(errors.New("no request was answered"), sum.failure)
	}
	return sum, err
}

// loop counts what is answered while the round is measured, whenever it was asked.
func (t *tally) loop(ctx context.Context, ask asker, phase *atomic.Int32) {
	for phase.Load() != over && ctx.Err() == nil {
		begin := time.Now()
		err := ask(ctx)
		took := time.Since(begin)
		counts := phase.Load() == measuring
		switch {
		case err == nil && counts:
			t.latency.add(took)
		case err != nil:
			if t.failure == nil {
				t.failure = err
			}
			if counts {
				t.failed++
			}
			pause(ctx, failurePause)
		}
	}
}

func (t *tally) merge(other *tally) {
	t.latency.merge(&other.latency)
	t.failed += other.failed
	if t.failure == nil {
		t.failure = other.failure
	}
}

// pause waits, and reports whether it could.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// closedWork is a load of clients that wait for each answer.
type closedWork struct {
	label    string
	asker    newAsker
	preloads bool // every key is there before
}

func (w closedWork) name() string { return w.label }

func (w closedWork) door() door { return doorEtcd }

func (w closedWork) sizes(s *settings) []int { return s.clients }

func (w closedWork) prepare(ctx context.Context, c *cluster, s *settings) error {
	if !w.preloads {
		return nil
	}
	return preload(ctx, c, s)
}

func (w closedWork) round(ctx context.Context, c *cluster, s *settings, clients int) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conns, err := c.connect(ctx, min(clients, s.conns))
	if err != nil {
		return result{}, err
	}
	defer conns.close()
	askers := make([]asker, clients)
	for i := range askers {
		if askers[i], err = w.asker(ctx, conns.of(i), i); err != nil {
			return result{}, fmt.Errorf("client %d: %w", i, err)
		}
	}
	var samples []sample
	t, err := closedLoop(ctx, askers, s.warm, s.window, func() error {
		taken, err := takeSample(c.pids())
		samples = append(samples, taken)
		return err
	})
	if err != nil {
		return result{}, err
	}
	before, after := samples[0], samples[1]
	ops := float64(t.latency.n)
	r := result{figures: []figure{
		{"throughput", "ops/s", ops / after.at.Sub(before.at).Seconds()},
		{"latency p50", "ms", millis(t.latency.quantile(0.50))},
		{"latency p99", "ms", millis(t.latency.quantile(0.99))},
	}}
	r.figures = append(r.figures, before.figures(after, ops, "request")...)
	r.figures = append(r.figures, figure{"failed", "requests", float64(t.failed)})
	if t.failure != nil {
		r.notes = append(r.notes, fmt.Sprintf("%d requests failed while measured, the first of all with: %v", t.failed, t.failure))
	}
	return r, nil
}
