package raftstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/raftstore/peer"
	"herald/registry"
)

// pollOf asks voters that answer as the test says.
func pollOf(call func(ctx context.Context, node string) (uint64, error)) *termPoll {
	p := &termPoll{voters: make(map[string]*polledVoter)}
	p.ctx, p.end = context.WithCancel(context.Background())
	p.call = func(ctx context.Context, to peer.Target) (uint64, error) { return call(ctx, to.Node) }
	return p
}

func targets(nodes ...string) (all []peer.Target) {
	for _, n := range nodes {
		all = append(all, peer.Target{Node: n})
	}
	return all
}

func TestTermPoll(t *testing.T) {
	t.Parallel()
	const ours, silent, broken = 5, 0, 1
	for name, tc := range map[string]struct {
		terms map[string]uint64
		want  error
	}{
		"both agree":           {map[string]uint64{"b": 5, "c": 5}, nil},
		"one agrees":           {map[string]uint64{"b": 5, "c": 6}, nil},
		"one has not heard":    {map[string]uint64{"b": 4, "c": silent}, nil},
		"both are beyond":      {map[string]uint64{"b": 6, "c": 7}, registry.ErrUnavailable},
		"one beyond, one gone": {map[string]uint64{"b": 6, "c": silent}, registry.ErrUnavailable},
		"both gone":            {map[string]uint64{"b": silent, "c": silent}, registry.ErrUnavailable},
		"both fail":            {map[string]uint64{"b": broken, "c": broken}, registry.ErrUnavailable},
		"two of four":          {map[string]uint64{"b": 5, "c": 5, "d": silent, "e": silent}, nil},
		"one of four":          {map[string]uint64{"b": 5, "c": 6, "d": silent, "e": 6}, registry.ErrUnavailable},
		"one of one":           {map[string]uint64{"b": 5}, nil},
		"none of one":          {map[string]uint64{"b": 6}, registry.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := pollOf(func(ctx context.Context, node string) (uint64, error) {
					switch term := tc.terms[node]; term {
					case silent:
						<-ctx.Done()
						return 0, ctx.Err()
					case broken:
						return 0, errors.New("broken")
					default:
						return term, nil
					}
				})
				defer p.close()
				var nodes []string
				for n := range tc.terms {
					nodes = append(nodes, n)
				}
				if err := p.ask(targets(nodes...), ours, time.Second); !errors.Is(err, tc.want) {
					t.Errorf("got %v, want %v", err, tc.want)
				}
			})
		})
	}
}

// An answer to an earlier question is none to a later one, however late it comes: it
// may have been given before the later one was asked.
func TestTermPollCountsNoOldAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var mu sync.Mutex
		calls := 0
		p := pollOf(func(ctx context.Context, _ string) (uint64, error) {
			mu.Lock()
			calls++
			first := calls == 1
			mu.Unlock()
			if first {
				<-release // answered in term 5, and under way for long
				return 5, nil
			}
			return 9, nil
		})
		defer p.close()
		if err := p.ask(targets("b"), 5, time.Second); err == nil {
			t.Error("confirmed without an answer")
		}
		second := make(chan error)
		go func() { second <- p.ask(targets("b"), 5, time.Second) }()
		synctest.Wait()
		close(release)
		if err := <-second; !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("the second question: %v, want ErrUnavailable: that voter is in term 9", err)
		}
		if calls != 2 {
			t.Errorf("asked %d times, want twice", calls)
		}
	})
}

// A voter whose answer is waited for at an address where nobody answers any more is asked the next
// question where it is by then.
func TestTermPollFollowsAMovedVoter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := pollOf(nil)
		p.call = func(ctx context.Context, to peer.Target) (uint64, error) {
			if to.Address == "old" {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return 5, nil
		}
		defer p.close()
		go p.ask([]peer.Target{{Node: "b", Address: "old"}}, 5, time.Minute)
		synctest.Wait()
		time.Sleep(30 * time.Second)
		if err := p.ask([]peer.Target{{Node: "b", Address: "new"}}, 5, time.Minute); err != nil {
			t.Error(err)
		}
	})
}
