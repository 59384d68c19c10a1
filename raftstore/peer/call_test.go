package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/raftstore/peer"
	"herald/raftstore/peer/memnet"
	"herald/registry"
)

func TestCall(t *testing.T) {
	a, to := tcpPair(t)
	anyone := peer.Target{Address: to.Address}
	cases := []struct {
		name string
		to   peer.Target
		m    peer.Method
		req  string
		resp string
		err  string // in its text
	}{
		{name: "answered", to: to, m: methodEcho, req: "hello", resp: "hello"},
		{name: "answered inline", to: to, m: methodInline, req: "hello", resp: "hello"},
		{name: "empty", to: to, m: methodEcho},
		{name: "whoever answers", to: anyone, m: methodInline, req: "hello", resp: "hello"},
		{name: "larger than the buffers", to: to, m: methodInline, req: strings.Repeat("x", 1<<20), resp: strings.Repeat("x", 1<<20)},
		{name: "the handler knows the caller", to: to, m: methodWho, resp: "c/a"},
		{name: "the handler's error", to: to, m: methodFail, req: "no luck", err: "no luck"},
		{name: "not served", to: to, m: methodNone, err: "does not serve method"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			resp, err := a.Call(t.Context(), c.to, c.m, []byte(c.req))
			if string(resp) != c.resp {
				t.Errorf("answer of %d bytes, want %d", len(resp), len(c.resp))
			}
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if notServed := c.m == methodNone; errors.Is(err, peer.ErrNotSent) != notServed || errors.Is(err, peer.ErrLost) {
				t.Errorf("error %v says the wrong thing about what became of the request", err)
			}
		})
	}
}

func TestErrorsTravelEncoded(t *testing.T) {
	sentinel := errors.New("sentinel")
	register := func(cfg peer.Config) peer.Config {
		cfg.EncodeError = func(error) []byte { return []byte{42} }
		cfg.DecodeError = func(b []byte) error { return fmt.Errorf("code %d: %w", b[0], sentinel) }
		return cfg
	}
	a := listen(t, register(testConfig(t, "a")))
	b := listen(t, register(testConfig(t, "b")))
	_, err := a.Call(t.Context(), peer.Target{Address: b.Addr().String()}, methodFail, nil)
	if !errors.Is(err, sentinel) || err.Error() != "code 42: sentinel" {
		t.Errorf("got %v", err)
	}
}

func TestMessagesOverTheLimit(t *testing.T) {
	large := func(p *peer.Port) {
		p.Handle(100, func(context.Context, peer.Identity, []byte) ([]byte, error) { return make([]byte, 1001), nil })
	}
	cfg := testConfig(t, "a")
	cfg.MaxMessage = 1000
	a := listen(t, cfg, large)
	to := peer.Target{Address: a.Addr().String()}
	if _, err := a.Call(t.Context(), to, methodEcho, make([]byte, 1001)); !errors.Is(err, peer.ErrNotSent) || !errors.Is(err, registry.ErrTooLarge) {
		t.Errorf("a request: %v", err)
	}
	if _, err := a.Call(t.Context(), to, 100, nil); err == nil || errors.Is(err, peer.ErrLost) || !strings.Contains(err.Error(), "1001 bytes") ||
		!strings.HasPrefix(err.Error(), registry.ErrTimeout.Error()) {
		t.Errorf("an answer: %v, want what leaves open whether it took effect", err)
	}
	if resp, err := a.Call(t.Context(), to, methodEcho, make([]byte, 1000)); err != nil || len(resp) != 1000 {
		t.Errorf("what just fits: %d bytes, %v", len(resp), err)
	}
}

// TestManyCallers checks that answers find those who asked, over one connection.
func TestManyCallers(t *testing.T) {
	a, to := tcpPair(t)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			for j := range 50 {
				req := bytes.Repeat(fmt.Appendf(nil, "%d/%d ", i, j), 1+j*j)
				m := methodEcho
				if j%2 == 0 {
					m = methodInline
				}
				if resp, err := a.Call(t.Context(), to, m, req); err != nil || !bytes.Equal(resp, req) {
					t.Errorf("call %d of caller %d: %d bytes for %d, %v", j, i, len(resp), len(req), err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestHandlerHasTheCallersTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, to := memPair(t, memnet.New())
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if resp, err := a.Call(ctx, to, methodLeft, nil); err != nil || string(resp) != "1500" {
			t.Errorf("%s ms left, %v", resp, err)
		}
		if resp, err := a.Call(context.Background(), to, methodLeft, nil); err != nil || string(resp) != "for ever" {
			t.Errorf("%s left, %v", resp, err)
		}
		time.Sleep(2 * time.Second)
		if _, err := a.Call(ctx, to, methodLeft, nil); !errors.Is(err, peer.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without any time left: %v", err)
		}
	})
}

// TestHandlerEndsWithItsCaller looks at a handler whose caller has gone, in each way
// there is to go.
func TestHandlerEndsWithItsCaller(t *testing.T) {
	gaveUp := errors.New("gave up")
	cases := []struct {
		name  string
		leave func(n *memnet.Net, a *peer.Port, cancel context.CancelCauseFunc)
		want  error // of the call, beside ErrLost
		after time.Duration
	}{
		{"it gives up", func(_ *memnet.Net, _ *peer.Port, cancel context.CancelCauseFunc) { cancel(gaveUp) }, gaveUp, 0},
		{"it closes", func(_ *memnet.Net, a *peer.Port, _ context.CancelCauseFunc) { a.Close() }, nil, 0},
		{"it is killed", func(n *memnet.Net, _ *peer.Port, _ context.CancelCauseFunc) { n.Kill("a") }, nil, 0},
		{"it vanishes", func(n *memnet.Net, _ *peer.Port, _ context.CancelCauseFunc) { n.Isolate("a") }, nil, 4 * time.Second},
		{"only its words are lost", func(n *memnet.Net, _ *peer.Port, _ context.CancelCauseFunc) { n.Cut("a", "b") }, nil, 4 * time.Second},
		{"it hears nothing", func(n *memnet.Net, _ *peer.Port, _ context.CancelCauseFunc) { n.Cut("b", "a") }, nil, 4 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				a, to := memPair(t, n, func(p *peer.Port) {
					p.Handle(100, func(ctx context.Context, _ peer.Identity, _ []byte) ([]byte, error) {
						start := time.Now()
						<-ctx.Done()
						if d := time.Since(start); d > c.after {
							t.Errorf("the handler's context ended after %v", d)
						}
						return nil, ctx.Err()
					})
				})
				ctx, cancel := context.WithCancelCause(t.Context())
				done := make(chan error, 1)
				start := time.Now()
				go func() {
					_, err := a.Call(ctx, to, 100, nil)
					done <- err
				}()
				synctest.Wait()
				c.leave(n, a, cancel)
				err := <-done
				if !errors.Is(err, peer.ErrLost) || c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("the call ended with %v", err)
				}
				if d := time.Since(start); d > c.after {
					t.Errorf("the call ended after %v", d)
				}
				n.HealAll()
				time.Sleep(5 * time.Second) // for the handler, if it is the other's end that was late
			})
		})
	}
}

func TestNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan string, 10)
		n := memnet.New()
		a, to := memPair(t, n, func(p *peer.Port) {
			p.HandleInline(100, func(_ context.Context, from peer.Identity, req []byte) ([]byte, error) {
				got <- from.Node + " says " + string(req)
				return []byte("nobody hears this"), nil
			})
			p.Handle(101, func(_ context.Context, _ peer.Identity, req []byte) ([]byte, error) {
				got <- "in a goroutine: " + string(req)
				return nil, errors.New("nobody hears this either")
			})
		})
		a.Notify(to, 100, []byte("too early"))
		synctest.Wait() // it is connected now
		a.Notify(to, 100, []byte("hello"))
		if s := <-got; s != "a says hello" {
			t.Error(s)
		}
		a.Notify(to, 101, []byte("hello"))
		if s := <-got; s != "in a goroutine: hello" {
			t.Error(s)
		}
		a.Notify(to, methodNone, nil) // harmless

		// Into the void, more than there is room for: it must neither block nor pile up.
		n.Cut("a", "b")
		start := time.Now()
		for range 1000 {
			a.Notify(to, 100, make([]byte, 64<<10))
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("1000 messages took %v", d)
		}
		// And to where nobody is.
		a.Notify(peer.Target{Address: "b:1"}, 100, nil)
		a.Close()
		a.Notify(to, 100, nil)
	})
}

// TestFullConnectionDoesNotHoldACaller calls a server that has stopped to read.
func TestFullConnectionDoesNotHoldACaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a, to := memPair(t, n)
		if _, err := a.Call(t.Context(), to, methodInline, nil); err != nil {
			t.Fatal(err)
		}
		n.Isolate("b")
		var all sync.WaitGroup
		var fates [3]int // in all: lost, not sent, others
		var mu sync.Mutex
		for range 20 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				_, err := a.Call(ctx, to, methodInline, make([]byte, 1<<20))
				if d := time.Since(start); d != time.Second || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v after %v", err, d)
				}
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, peer.ErrLost):
					fates[0]++
				case errors.Is(err, peer.ErrNotSent):
					fates[1]++
				default:
					fates[2]++
				}
			})
		}
		all.Wait()
		// The first of them is being written, with those that came with it; the others wait.
		if fates[0] == 0 || fates[1] < 10 || fates[2] > 0 {
			t.Errorf("%d lost, %d not sent, %d others", fates[0], fates[1], fates[2])
		}
	})
}
