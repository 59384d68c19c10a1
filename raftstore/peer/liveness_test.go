package peer_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/raftstore/peer"
	"herald/raftstore/peer/memnet"
)

// TestSlowHandlerIsNotCutOff lets a call take an hour.
func TestSlowHandlerIsNotCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, to := memPair(t, memnet.New(), func(p *peer.Port) {
			p.Handle(100, func(ctx context.Context, _ peer.Identity, _ []byte) ([]byte, error) {
				select {
				case <-time.After(time.Hour):
					return []byte("at last"), nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			})
		})
		if resp, err := a.Call(t.Context(), to, 100, nil); err != nil || string(resp) != "at last" {
			t.Errorf("%q, %v", resp, err)
		}
	})
}

// TestSlowNetworkIsNotCutOff moves a message that takes far longer than the time after which
// silence counts as death: a window of 64 KiB a second, in either direction.
func TestSlowNetworkIsNotCutOff(t *testing.T) {
	for _, from := range []string{"a", "b"} {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New()
			a, to := memPair(t, n, func(p *peer.Port) {
				p.Handle(100, func(context.Context, peer.Identity, []byte) ([]byte, error) { return make([]byte, 1<<20), nil })
			})
			if _, err := a.Call(t.Context(), to, methodInline, nil); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			m, req := peer.Method(100), []byte(nil)
			if n.Delay(from, other(from), time.Second); from == "a" {
				m, req = methodLeft, make([]byte, 1<<20)
			}
			if _, err := a.Call(t.Context(), to, m, req); err != nil {
				t.Errorf("a megabyte from %s: %v", from, err)
			}
			if d := time.Since(start); d < 15*time.Second {
				t.Errorf("a megabyte from %s took only %v", from, d)
			}
		})
	}
}

func other(host string) string {
	if host == "a" {
		return "b"
	}
	return "a"
}

// TestShortSilenceIsForgiven stops everything for two intervals.
func TestShortSilenceIsForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		net := &counting{Network: n.Host("a")}
		cfg := memConfig(t, n, "a")
		cfg.Network = net
		a := listen(t, cfg)
		listen(t, memConfig(t, n, "b"))
		for range 5 {
			if _, err := a.Call(t.Context(), targetB, methodEcho, nil); err != nil {
				t.Fatal(err)
			}
			n.Isolate("b")
			time.Sleep(2 * time.Second)
			n.HealAll()
			time.Sleep(2 * time.Second)
		}
		if d := net.dials.Load(); d != 1 {
			t.Errorf("%d connections", d)
		}
	})
}

// TestManyHandlersHoldBackTheReader sends more requests than are handled at a time. They
// take a minute, and the connection lives.
func TestManyHandlersHoldBackTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const requests, limit = 6000, 4096
		var mu sync.Mutex
		running, most := 0, 0
		count := func(d int) {
			mu.Lock()
			defer mu.Unlock()
			running += d
			most = max(most, running)
		}
		a, to := memPair(t, memnet.New(), func(p *peer.Port) {
			p.Handle(100, func(ctx context.Context, _ peer.Identity, _ []byte) ([]byte, error) {
				count(1)
				defer count(-1)
				select {
				case <-time.After(time.Minute):
					return nil, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			})
		})
		start := time.Now()
		var all sync.WaitGroup
		for range requests {
			all.Go(func() {
				if _, err := a.Call(t.Context(), to, 100, nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if most != limit {
			t.Errorf("%d handlers ran at a time, want %d", most, limit)
		}
		if d := time.Since(start); d != 2*time.Minute {
			t.Errorf("took %v", d)
		}
	})
}

// TestFullServerNoticesADeadCaller kills the network under a server that does not read,
// since its handlers wait to send answers that nobody takes.
func TestFullServerNoticesADeadCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		var handling sync.WaitGroup
		a, to := memPair(t, n, func(p *peer.Port) {
			p.HandleInline(100, func(context.Context, peer.Identity, []byte) ([]byte, error) {
				return make([]byte, 1<<20), nil
			})
			p.Handle(101, func(ctx context.Context, _ peer.Identity, _ []byte) ([]byte, error) {
				handling.Add(1)
				defer handling.Done()
				<-ctx.Done()
				return nil, ctx.Err()
			})
		})
		var all sync.WaitGroup
		call := func(m peer.Method) {
			all.Go(func() {
				if _, err := a.Call(context.Background(), to, m, nil); !errors.Is(err, peer.ErrLost) {
					t.Error(err)
				}
			})
		}
		call(101)
		synctest.Wait()
		n.Cut("b", "a") // from now on no answer is taken
		for range 20 {
			call(100)
		}
		synctest.Wait()
		n.Isolate("a") // nor does the server hear that the caller hung up
		start := time.Now()
		handling.Wait()
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("the server noticed after %v", d)
		}
		all.Wait()
	})
}
