package httpserver

import (
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry/plugin"
)

func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clients
		c.set(clientLimits{perSecond: 10, burst: 3})
		a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
		for range 3 {
			if wait := c.admit(a, time.Now()); wait != 0 {
				t.Fatalf("within its burst it has to wait %v", wait)
			}
		}
		for range 2 { // asking in vain costs nothing
			if wait := c.admit(a, time.Now()); wait != 100*time.Millisecond {
				t.Errorf("beyond its burst it has to wait %v", wait)
			}
		}
		if wait := c.admit(b, time.Now()); wait != 0 {
			t.Errorf("another has to wait %v", wait)
		}
		time.Sleep(100 * time.Millisecond)
		if c.admit(a, time.Now()) != 0 || c.admit(a, time.Now()) == 0 {
			t.Error("a tenth of a second is not worth one request")
		}
		c.set(clientLimits{perSecond: 1000, burst: 1000})
		time.Sleep(time.Second)
		for i := range 1000 {
			if wait := c.admit(a, time.Now()); wait != 0 {
				t.Fatalf("after the limits were raised request %d has to wait %v", i, wait)
			}
		}
		c.set(clientLimits{})
		for range 5000 {
			if c.admit(a, time.Now()) != 0 {
				t.Fatal("without a limit it has to wait")
			}
		}
	})
}

func TestBlockPerClient(t *testing.T) {
	var c clients
	c.set(clientLimits{blocked: 2, burst: 1})
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	first, ok1 := c.block(a, time.Now())
	_, ok2 := c.block(a, time.Now())
	_, ok3 := c.block(a, time.Now())
	_, other := c.block(b, time.Now())
	if !ok1 || !ok2 || ok3 || !other {
		t.Fatalf("got %v %v %v, and %v for another", ok1, ok2, ok3, other)
	}
	first()
	if _, ok := c.block(a, time.Now()); !ok {
		t.Error("there is no room after one has left")
	}
}

// Whoever is forgotten loses nothing, and never are more known than there is room for.
func TestClientsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clients
		c.set(clientLimits{perSecond: 1, burst: 2, blocked: 1})
		busy, waiting := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		c.admit(busy, time.Now())
		if _, ok := c.block(waiting, time.Now()); !ok {
			t.Fatal("refused")
		}
		at := netip.MustParseAddr("10.0.0.0")
		for i := range 10 * sweepFrom {
			at = at.Next()
			c.admit(at, time.Now())
			if i%100 == 0 {
				time.Sleep(time.Second)
				c.admit(busy, time.Now())
			}
		}
		if n := len(c.known); n > 2*sweepFrom {
			t.Errorf("%d clients are known", n)
		}
		if _, ok := c.block(waiting, time.Now()); ok {
			t.Error("that it waits was forgotten")
		}
		if c.admit(busy, time.Now()); c.admit(busy, time.Now()) == 0 {
			t.Error("that it was busy was forgotten")
		}
		// All at once.
		for range 2 * maxClients {
			at = at.Next()
			c.admit(at, time.Now())
		}
		if n := len(c.known); n > maxClients {
			t.Errorf("%d clients are known", n)
		}
		if c.admit(at.Next(), time.Now()) == 0 {
			t.Error("those that there is no room for are not bounded")
		}
	})
}

func TestClientOf(t *testing.T) {
	h := open(t)
	for remote, want := range map[string]string{
		"10.0.0.1:5":            "10.0.0.1",
		"[::ffff:10.0.0.1]:5":   "10.0.0.1",
		"[2001:db8:1:2:3::4]:5": "2001:db8:1:2::",
		"[fe80::1%eth0]:5":      "fe80::",
		"127.0.0.1:5":           "",
		"127.8.8.8:5":           "",
		"[::1]:5":               "",
		"@":                     "",
		"":                      "",
	} {
		addr, limited := h.door.surface.clientOf(&request{r: &http.Request{RemoteAddr: remote}})
		if limited != (want != "") || limited && addr.String() != want {
			t.Errorf("%q: %v, %v; want %q", remote, addr, limited, want)
		}
	}
}

// refusals counts what limits refuse.
type refusals struct {
	mu sync.Mutex
	of map[string]int
}

type refusalCounter struct {
	r       *refusals
	setting string
}

func (r *refusals) With(values ...string) interface{ Inc() } { return refusalCounter{r, values[0]} }
func (c refusalCounter) Inc() {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.of[c.setting]++
}

// small opens a door on which one client may do little.
func small(t *testing.T) (*harness, *refusals) {
	h := open(t, func(c *Config, _ *plugin.Host) {
		c.LimitLoopback = true
		c.MaxRequestsPerClient, c.MaxRequestsBurst, c.MaxBlockedPerClient = 0, 3, 1
		c.MaxKeyBytes, c.MaxValueBytes, c.MaxBodyBytes = 4, 5, 100
	})
	r := &refusals{of: map[string]int{}}
	h.door.surface.metrics.refused = r
	return h, r
}

func TestSizes(t *testing.T) {
	h, refused := small(t)
	for _, test := range []struct{ path, body, says string }{
		{"/v1/kv/12345", "x", "Key(5 bytes) too large, max size: 4 bytes. See the HTTP door's setting max_key_bytes."},
		{"/v1/kv/1234", "123456", "Request body(6 bytes) too large, max size: 5 bytes. See the HTTP door's setting max_value_bytes."},
		{"/v1/lease/grant", strings.Repeat(" ", 101), "Request body(101 bytes) too large, max size: 100 bytes. See the HTTP door's setting max_body_bytes."},
	} {
		if a := h.do(http.MethodPut, test.path, test.body); a.status != http.StatusRequestEntityTooLarge || a.body != test.says {
			t.Errorf("%s: got %d %s", test.path, a.status, a.body)
		}
	}
	h.ok(http.MethodPut, "/v1/kv/1234", "12345")
	want := map[string]int{"max_key_bytes": 1, "max_value_bytes": 1, "max_body_bytes": 1}
	if !reflect.DeepEqual(refused.of, want) {
		t.Errorf("counted %v, want %v", refused.of, want)
	}
}

func TestTooManyBlockedOfOne(t *testing.T) {
	h, refused := small(t)
	h.ok(http.MethodPut, "/v1/kv/a", "1")
	path := fmt.Sprintf("/v1/kv/a?wait=1m&index=%d", h.ok(http.MethodGet, "/v1/kv/a", "").index())
	got := h.begin(path)
	a := h.do(http.MethodGet, path, "")
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "1" || !strings.Contains(a.body, "max_blocked_queries_per_client") {
		t.Errorf("got %d %v %s", a.status, a.header, a.body)
	}
	if refused.of["max_blocked_queries_per_client"] != 1 {
		t.Errorf("counted %v", refused.of)
	}
	h.ok(http.MethodPut, "/v1/kv/a", "2")
	if a := receive(t, got); a.status != 200 {
		t.Errorf("got %d", a.status)
	}
	until(t, "the query has left", func() bool { return h.door.surface.metrics.blocked.Load() == 0 })
	// There is room again.
	h.ok(http.MethodGet, "/v1/kv/a?wait=1ms&index=100000", "")
}

// Limits change while the door runs; for other settings it says that it needs a restart.
func TestReloadLimits(t *testing.T) {
	h, refused := small(t)
	for range 20 {
		h.ok(http.MethodGet, "/v1/status/leader", "")
	}
	next := h.door.cfg
	next.MaxRequestsPerClient, next.MaxRequestsBurst, next.MaxKeyBytes = 1, 2, 10
	next.Address, next.Pprof = "127.0.0.1:1", true
	restart, err := h.door.Reload(&next)
	if err != nil || !reflect.DeepEqual(restart, []string{"address", "pprof"}) {
		t.Errorf("got %v, %v", restart, err)
	}
	var refusedOnce answered
	for range 20 {
		if a := h.do(http.MethodGet, "/v1/status/leader", ""); a.status != 200 {
			refusedOnce = a
		}
		h.ok(http.MethodGet, "/healthz", "") // probes are not counted
	}
	if refusedOnce.status != http.StatusTooManyRequests || refusedOnce.header.Get("Retry-After") != "1" ||
		!strings.HasPrefix(refusedOnce.body, "127.0.0.1 asks more than 1 requests a second, which is what the HTTP door's setting max_requests_per_client allows") {
		t.Errorf("got %d %v %s", refusedOnce.status, refusedOnce.header, refusedOnce.body)
	}
	if refused.of["max_requests_per_client"] == 0 {
		t.Errorf("counted %v", refused.of)
	}
	next.MaxRequestsPerClient = 0
	if _, err := h.door.Reload(&next); err != nil {
		t.Fatal(err)
	}
	h.ok(http.MethodPut, "/v1/kv/123456789", "1") // the longer key is allowed now
	bad := next
	bad.MaxKeyBytes = 0
	if _, err := h.door.Reload(&bad); err == nil || h.door.surface.live().MaxKeyBytes != 10 {
		t.Errorf("got %v, and keys may have %d bytes", err, h.door.surface.live().MaxKeyBytes)
	}
	if _, err := h.door.Reload(bad); err == nil {
		t.Error("it took what are not its settings")
	}
	if _, err := New().Reload(&next); err != nil {
		t.Errorf("a door that is not open: %v", err)
	}
}

func BenchmarkAdmit(b *testing.B) {
	var c clients
	cfg := DefaultConfig()
	c.set(cfg.clientLimits())
	a := netip.MustParseAddr("10.0.0.1")
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		if c.admit(a, now) != 0 {
			b.Fatal("refused")
		}
	}
}
