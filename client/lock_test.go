package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"herald/client"
	"herald/httpserver/api"
	"herald/registry"
)

// RoundTrip is a network to the server that can be cut.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.cut.Load() {
		return nil, errors.New("the network is cut")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// serveNode is serve with the node that sessions are on.
func serveNode(t testing.TB) *server {
	t.Helper()
	s := serve(t)
	if err := connect(t, s.url).Register(t.Context(), api.CatalogRegistration{Node: "n1", Address: "127.0.0.1"}, 0); err != nil {
		t.Fatal(err)
	}
	return s
}

var fast = client.LockOptions{Name: "test", TTL: 2 * time.Second, LockDelay: time.Microsecond}

func with(o client.LockOptions, change func(*client.LockOptions)) client.LockOptions {
	change(&o)
	return o
}

func TestSessions(t *testing.T) {
	c := connect(t, serveNode(t).url)
	ctx, kv := t.Context(), c.KV()
	id, err := c.CreateSession(ctx, client.SessionOptions{Name: "s", TTL: time.Minute})
	if err != nil || id == "" {
		t.Fatalf("%q %v", id, err)
	}
	other, err := c.CreateSession(ctx, client.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.RenewSession(ctx, id); err != nil {
		t.Error(err)
	}
	for _, step := range []struct {
		what    string
		do      func(context.Context, string, string, []byte, client.PutOptions) (bool, error)
		session string
		want    bool
	}{
		{"free", kv.Acquire, id, true},
		{"again", kv.Acquire, id, true},
		{"held", kv.Acquire, other, false},
		{"another's", kv.Release, other, false},
		{"own", kv.Release, id, true},
		{"free again", kv.Acquire, other, true},
	} {
		if got, err := step.do(ctx, "k", step.session, nil, client.PutOptions{}); err != nil || got != step.want {
			t.Errorf("%s: %v %v, want %v", step.what, got, err, step.want)
		}
	}
	for range 2 {
		if err := c.DestroySession(ctx, id); err != nil {
			t.Error(err)
		}
	}
	if err := c.RenewSession(ctx, id); !errors.Is(err, client.ErrSessionEnded) {
		t.Errorf("renewed after its end: %v", err)
	}
	if _, err := kv.Acquire(ctx, "k2", id, nil, client.PutOptions{}); !errors.Is(err, client.ErrSessionEnded) {
		t.Errorf("locked after its end: %v", err)
	}
}

// TestLocksExclude has many fight for a lock and for the places of a semaphore.
func TestLocksExclude(t *testing.T) {
	for _, holders := range []int{1, 3} {
		t.Run(fmt.Sprint(holders), func(t *testing.T) {
			s := serveNode(t)
			o := with(fast, func(o *client.LockOptions) { o.Holders = holders; o.TTL = time.Minute })
			var inside, most, done atomic.Int64
			var wg sync.WaitGroup
			for range 8 {
				c := connect(t, s.url)
				wg.Go(func() {
					for range 3 {
						err := c.WithLock(t.Context(), "locks/a", o, func(context.Context) error {
							n := inside.Add(1)
							for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
							}
							<-time.After(3 * time.Millisecond)
							inside.Add(-1)
							done.Add(1)
							return nil
						})
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if done.Load() != 24 || most.Load() > int64(holders) {
				t.Errorf("%d runs, at most %d at once, want 24 and %d", done.Load(), most.Load(), holders)
			}
			for _, space := range []registry.Space{registry.SpaceKV, registry.SpaceSession} {
				res, err := s.store.Range(t.Context(), registry.RangeRequest{Space: space, KeyRange: registry.All()})
				if err != nil || len(res.KVs) != 0 {
					t.Errorf("left in %v: %+v %v", space, res.KVs, err)
				}
			}
		})
	}
}

func TestLockThatIsHeld(t *testing.T) {
	s := serveNode(t)
	c := connect(t, s.url)
	err := c.WithLock(t.Context(), "k", fast, func(ctx context.Context) error {
		for name, wait := range map[string]time.Duration{"once": -1, "for a while": 50 * time.Millisecond} {
			o := with(fast, func(o *client.LockOptions) { o.Wait = wait })
			err := connect(t, s.url).WithLock(ctx, "k", o, func(context.Context) error { t.Error("it has a lock that is held"); return nil })
			if !errors.Is(err, client.ErrLockHeld) || !strings.Contains(err.Error(), `"k"`) {
				t.Errorf("tried %s: %v", name, err)
			}
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := c.WithLock(ended, "k", fast, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("without time: %v", err)
		}
		return errors.New("what do did")
	})
	if err == nil || err.Error() != "what do did" {
		t.Errorf("the holder's end: %v", err)
	}
}

// TestLockLost takes the lock away in each way that there is.
func TestLockLost(t *testing.T) {
	t.Parallel()
	session := func(ctx context.Context, t *testing.T, s *server) string {
		t.Helper()
		res, err := s.store.Range(ctx, registry.RangeRequest{Space: registry.SpaceSession, KeyRange: registry.Prefix("session/")})
		if err != nil || len(res.KVs) != 1 {
			t.Fatalf("sessions: %+v %v", res.KVs, err)
		}
		return strings.TrimPrefix(res.KVs[0].Key, "session/")
	}
	for _, holders := range []int{1, 2} {
		for name, take := range map[string]func(context.Context, *testing.T, *server, *client.Client){
			"session destroyed": func(ctx context.Context, t *testing.T, s *server, c *client.Client) {
				if err := c.DestroySession(ctx, session(ctx, t, s)); err != nil {
					t.Error(err)
				}
			},
			"keys deleted": func(ctx context.Context, t *testing.T, s *server, c *client.Client) {
				if err := c.KV().DeletePrefix(ctx, "k"); err != nil {
					t.Error(err)
				}
			},
			"servers that fail": func(ctx context.Context, t *testing.T, s *server, c *client.Client) {
				s.cut.Store(true)
			},
		} {
			t.Run(fmt.Sprintf("%s/%d", name, holders), func(t *testing.T) {
				t.Parallel()
				s := serveNode(t)
				c, err := client.New(client.Config{Addresses: []string{s.url}, HTTP: &http.Client{Transport: s}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(c.Close)
				o := with(fast, func(o *client.LockOptions) { o.Holders = holders })
				ran := 0
				err = c.WithLock(t.Context(), "k", o, func(ctx context.Context) error {
					ran++
					take(t.Context(), t, s, c)
					<-ctx.Done()
					return context.Cause(ctx)
				})
				if !errors.Is(err, client.ErrLockLost) || ran != 1 {
					t.Errorf("%d runs, %v", ran, err)
				}
			})
		}
	}
}

// TestLockOfADeadHolder is had by the next once the holder's session has run out and its lock
// delay is over.
func TestLockOfADeadHolder(t *testing.T) {
	t.Parallel()
	s := serveNode(t)
	c := connect(t, s.url)
	id, err := c.CreateSession(t.Context(), client.SessionOptions{TTL: time.Second, LockDelay: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	const lockFlag = 3304740253564472344
	if ok, err := c.KV().Acquire(t.Context(), "k", id, nil, client.PutOptions{Flags: lockFlag}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	begin := time.Now()
	if err := c.WithLock(t.Context(), "k", fast, func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took < 500*time.Millisecond {
		t.Errorf("the lock of a holder that may be alive was had after %v", took)
	}
}

// TestLockOutlivesItsSessionWhileItWaits ends the session of one that waits: it goes on waiting.
func TestLockOutlivesItsSessionWhileItWaits(t *testing.T) {
	t.Parallel()
	s := serveNode(t)
	c := connect(t, s.url)
	held, err := c.CreateSession(t.Context(), client.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kv := c.KV()
	const lockFlag = 3304740253564472344
	if ok, err := kv.Acquire(t.Context(), "k", held, nil, client.PutOptions{Flags: lockFlag}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	done := make(chan error, 1)
	go func() { done <- c.WithLock(t.Context(), "k", fast, func(context.Context) error { return nil }) }()
	ended := 0
	for s, err := range c.Follow(t.Context(), "/v1/session/list", nil, client.ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(s.JSON), `"ID":"`)[1:] {
			if id := part[:36]; id != held && ended < 2 {
				ended++
				if err := c.DestroySession(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
		}
		if ended == 2 {
			break
		}
	}
	if _, err := kv.Release(t.Context(), "k", held, nil, client.PutOptions{Flags: lockFlag}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLocksThatAreNone(t *testing.T) {
	c := connect(t, serveNode(t).url)
	never := func(context.Context) error { t.Error("it ran"); return nil }
	for _, key := range []string{"data", "places/.lock"} {
		if _, err := c.KV().Put(t.Context(), key, []byte("mine"), client.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		key  string
		o    client.LockOptions
		want error
	}{
		"no key":        {"", fast, registry.ErrEmptyKey},
		"data":          {"data", fast, registry.ErrInvalid},
		"data's prefix": {"places", with(fast, func(o *client.LockOptions) { o.Holders = 2 }), registry.ErrInvalid},
		"a TTL below 0": {"k", client.LockOptions{TTL: -1}, registry.ErrInvalid},
		"holders below": {"k", client.LockOptions{Holders: -1}, registry.ErrInvalid},
		"a short TTL":   {"k", client.LockOptions{TTL: time.Millisecond}, nil},
	} {
		err := c.WithLock(t.Context(), tc.key, tc.o, never)
		if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	err := c.WithLock(t.Context(), "sem", with(fast, func(o *client.LockOptions) { o.Holders = 2 }), func(ctx context.Context) error {
		return c.WithLock(ctx, "sem", with(fast, func(o *client.LockOptions) { o.Holders = 3 }), never)
	})
	if !errors.Is(err, registry.ErrInvalid) || !strings.Contains(err.Error(), "for 2 holders, not 3") {
		t.Errorf("a semaphore of another size: %v", err)
	}
	unreached := connect(t, unused(t))
	err = unreached.WithLock(t.Context(), "k", with(fast, func(o *client.LockOptions) { o.Wait = 300 * time.Millisecond }), never)
	if errors.Is(err, client.ErrLockHeld) || !errors.Is(err, registry.ErrTimeout) {
		t.Errorf("without servers: %v", err)
	}
	if err = unreached.WithLock(t.Context(), "k", with(fast, func(o *client.LockOptions) { o.Wait = -1 }), never); err == nil || errors.Is(err, client.ErrLockHeld) {
		t.Errorf("without servers, once: %v", err)
	}
}
