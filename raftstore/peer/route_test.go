package peer_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"herald/raftstore/peer"
	"herald/raftstore/peer/memnet"
)

// countedA is host a with a network that counts.
func countedA(t *testing.T, n *memnet.Net) (*peer.Port, *counting) {
	cfg := memConfig(t, n, "a")
	c := &counting{Network: cfg.Network}
	cfg.Network = c
	return listen(t, cfg), c
}

func TestCallersShareADial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, net := countedA(t, n)
		listen(t, memConfig(t, n, "b"))
		n.Delay("a", "b", 100*time.Millisecond)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := a.Call(t.Context(), targetB, methodEcho, nil); err != nil {
					t.Error(err)
				}
			})
		}
		// One that has no time to wait leaves the dial to the others.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := a.Call(ctx, targetB, methodEcho, nil); !errors.Is(err, peer.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		all.Wait()
		if d := net.dials.Load(); d != 1 {
			t.Errorf("%d dials", d)
		}
	})
}

func TestFailedDialIsNotRepeatedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.Host("b")
		a, net := countedA(t, n)
		call := func(dials int64) {
			t.Helper()
			_, err := a.Call(t.Context(), targetB, methodEcho, nil)
			if !errors.Is(err, peer.ErrNotSent) || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Error(err)
			}
			if d := net.dials.Load(); d != dials {
				t.Errorf("%d dials, want %d", d, dials)
			}
		}
		call(1)
		call(1)
		time.Sleep(49 * time.Millisecond)
		call(1)
		time.Sleep(time.Millisecond)
		call(2)
		a.Notify(targetB, methodEcho, nil)
		call(2)
		// The server comes up, and is found.
		listen(t, memConfig(t, n, "b"))
		time.Sleep(50 * time.Millisecond)
		if _, err := a.Call(t.Context(), targetB, methodEcho, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestDialTimesOut covers an address that does not answer, and a server there that does not:
// neither is a deadline of the caller's, who has none.
func TestDialTimesOut(t *testing.T) {
	for name, fault := range map[string]func(*memnet.Net){
		"cut off": func(n *memnet.Net) { n.Isolate("b") },
		"frozen": func(n *memnet.Net) {
			if _, err := n.Host("b").Listen("b:7400"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				n.Host("b")
				fault(n)
				a, _ := countedA(t, n)
				start := time.Now()
				_, err := a.Call(t.Context(), targetB, methodEcho, nil)
				if !errors.Is(err, peer.ErrNotSent) || errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				if _, err := a.Stream(t.Context(), targetB, 1); !errors.Is(err, peer.ErrNotSent) {
					t.Error(err)
				}
			})
		})
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, net := countedA(t, n)
		listen(t, memConfig(t, n, "b"))
		for range 5 {
			if _, err := a.Call(t.Context(), targetB, methodEcho, nil); err != nil {
				t.Error(err)
			}
			time.Sleep(50 * time.Second)
		}
		if d, open := net.dials.Load(), net.open.Load(); d != 1 || open != 1 {
			t.Errorf("%d connections, %d open, while it is used", d, open)
		}
		time.Sleep(15 * time.Second)
		if open := net.open.Load(); open != 0 {
			t.Error("it is open after a minute without calls")
		}
		if _, err := a.Call(t.Context(), targetB, methodEcho, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestCallsOutliveARestart calls a server that is restarted between calls: the connection
// that is there is dead, which a caller must not have to know.
func TestCallsOutliveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, _ := countedA(t, n)
		for range 3 {
			b := listen(t, memConfig(t, n, "b"))
			if _, err := a.Call(t.Context(), targetB, methodEcho, nil); err != nil {
				t.Error(err)
			}
			n.Kill("b")
			b.Close()
			synctest.Wait()
		}
	})
}

// TestIdentityChanges makes a server part of a cluster while it is connected.
func TestIdentityChanges(t *testing.T) {
	for _, at := range []string{"at once", "at the next beat"} {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				var cluster atomic.Value
				cluster.Store("")
				cfg := memConfig(t, n, "a")
				cfg.Self = func() peer.Identity { return peer.Identity{Cluster: cluster.Load().(string), Node: "a"} }
				a := listen(t, cfg)
				listen(t, memConfig(t, n, "b"), func(p *peer.Port) {
					p.Handle(100, func(ctx context.Context, _ peer.Identity, _ []byte) ([]byte, error) {
						select {
						case <-time.After(10 * time.Second):
							return nil, nil
						case <-ctx.Done():
							return nil, ctx.Err()
						}
					})
				})
				who := func() string {
					resp, err := a.Call(t.Context(), targetB, methodWho, nil)
					if err != nil {
						t.Fatal(err)
					}
					return string(resp)
				}
				if w := who(); w != "/a" {
					t.Errorf("called as %q", w)
				}
				// A call that is under way stays where it is.
				done := make(chan error, 1)
				go func() {
					_, err := a.Call(t.Context(), targetB, 100, nil)
					done <- err
				}()
				synctest.Wait()
				cluster.Store("c")
				if at == "at once" {
					a.Reintroduce()
				} else {
					time.Sleep(1100 * time.Millisecond)
				}
				if w := who(); w != "c/a" {
					t.Errorf("called as %q", w)
				}
				if err := <-done; err != nil {
					t.Errorf("the call under way: %v", err)
				}
			})
		})
	}
}

// TestAcceptedConnectionBecomesForeign makes a server part of another cluster than one that is
// connected to it.
func TestAcceptedConnectionBecomesForeign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		var cluster atomic.Value
		cluster.Store("")
		cfg := memConfig(t, n, "b")
		cfg.Self = func() peer.Identity { return peer.Identity{Cluster: cluster.Load().(string), Node: "b"} }
		a := listen(t, memConfig(t, n, "a"))
		listen(t, cfg)
		if _, err := a.Call(t.Context(), targetB, methodEcho, nil); err != nil {
			t.Fatal(err)
		}
		cluster.Store("d")
		time.Sleep(1100 * time.Millisecond)
		if _, err := a.Call(t.Context(), targetB, methodEcho, nil); !errors.Is(err, peer.ErrNotSent) {
			t.Error(err)
		}
	})
}

func TestClosedPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, to := memPair(t, n)
		waiting := make(chan error, 1)
		go func() {
			_, err := a.Call(context.Background(), to, methodWait, nil)
			waiting <- err
		}()
		n.Host("c")
		n.Isolate("c")
		dialling := make(chan error, 1)
		go func() {
			_, err := a.Call(context.Background(), peer.Target{Address: "c:1"}, methodEcho, nil)
			dialling <- err
		}()
		synctest.Wait()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := <-waiting; !errors.Is(err, peer.ErrLost) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("a call that waits: %v", err)
		}
		if err := <-dialling; !errors.Is(err, peer.ErrNotSent) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("a call that dials: %v", err)
		}
		if _, err := a.Call(t.Context(), to, methodEcho, nil); !errors.Is(err, peer.ErrNotSent) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("a call afterwards: %v", err)
		}
		if _, err := a.Stream(t.Context(), to, 1); !errors.Is(err, peer.ErrNotSent) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("a stream afterwards: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
}
