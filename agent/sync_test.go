package agent

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

// TestNodeRecords checks what is advertised of the node itself.
func TestNodeRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		start(t, newAgent(t, config(), up, nil))
		synctest.Wait()
		c, ok := up.check(registry.NodeCheckID)
		want := registry.Check{Node: "n1", ID: "serfHealth", Name: "Serf Health Status", Status: registry.Passing, Output: "Agent alive and reachable"}
		if !ok || c != want || up.count() != 2 {
			t.Errorf("%d records, the node's check is %+v", up.count(), c)
		}
	})
}

// TestCoalescing registers many services while an attempt is under way.
func TestCoalescing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		start(t, a)
		pass(time.Second)
		up.take()
		up.setAdvFault(func(ctx context.Context) error { // a slow server
			<-time.After(time.Second)
			return nil
		})
		for i := range 100 {
			register(t, a, offer(fmt.Sprintf("s%d", i)))
			pass(time.Millisecond)
		}
		pass(3 * time.Second)
		calls := up.take("advertise")
		if len(calls) != 2 || up.count() != 102 || !a.Sync().InSync {
			t.Errorf("%d attempts, %d records, sync %+v", len(calls), up.count(), a.Sync())
		}
	})
}

// TestReasons checks why each write is said to be.
func TestReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		start(t, a)
		reason := func(what string, want registry.Reason) {
			t.Helper()
			pass(time.Millisecond)
			calls := up.take("advertise")
			if len(calls) != 1 || calls[0].caller.Reason != want || calls[0].caller.Identity != "agent:n1" {
				t.Errorf("%s: calls %+v, want one because of %v", what, calls, want)
			}
		}
		reason("start", registry.ReasonAgent)
		register(t, a, offer("web", ttlDef("c", "")))
		reason("registration", registry.ReasonAgent)
		if err := a.UpdateTTL(t.Context(), "c", registry.Passing, ""); err != nil {
			t.Fatal(err)
		}
		reason("report", registry.ReasonCheck)
	})
}

// TestAntiEntropy has somebody else delete what the agent advertised.
func TestAntiEntropy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		start(t, a)
		register(t, a, offer("web"))
		pass(time.Second)
		up.mu.Lock()
		delete(up.records, "service web")
		up.mu.Unlock()
		up.take()
		pass(antiEntropy * 5 / 4)
		if got := up.has(); got != "service web" {
			t.Errorf("catalog has %q", got)
		}
		pass(time.Hour)
		if n := len(up.take("advertise")); n < 16 || n > 28 {
			t.Errorf("%d attempts in an hour", n)
		}
	})
}

// TestDoubt has an old write land after a newer one: a comparison soon after mends it.
func TestDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		start(t, a)
		pass(time.Second)
		old := up.records
		up.setAdvFault(func(context.Context) error { return registry.ErrTimeout })
		register(t, a, offer("web"))
		pass(time.Second)
		up.setAdvFault(nil)
		pass(3 * time.Second)
		if got := up.has(); got != "service web" {
			t.Fatalf("catalog has %q", got)
		}
		up.mu.Lock()
		up.records = old
		up.mu.Unlock()
		pass(confirmAfter)
		if got := up.has(); got != "service web" {
			t.Errorf("catalog has %q %v later", got, confirmAfter)
		}
	})
}

// TestTroubleIsBackedOff keeps registering while the servers refuse.
func TestTroubleIsBackedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		start(t, a)
		pass(time.Second)
		up.take()
		up.setAdvFault(func(context.Context) error { return registry.ErrResourceExhausted })
		for i := range 600 {
			register(t, a, offer(fmt.Sprintf("s%d", i)))
			pass(100 * time.Millisecond)
		}
		if n := len(up.take("advertise")); n > 30 {
			t.Errorf("%d attempts in a minute", n)
		}
		if s := a.Sync(); s.InSync || s.LastError != registry.ErrResourceExhausted.Error() {
			t.Errorf("sync is %+v", s)
		}
	})
}

func TestRunOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, config(), newFake(), nil)
		stop := start(t, a)
		pass(time.Second)
		if err := a.Run(t.Context()); err == nil {
			t.Error("a second Run was accepted")
		}
		stop()
		_, err := a.RegisterService(t.Context(), offer("web"), false)
		wantErr(t, "a registration after the end", err, registry.ErrStopped)
	})
}

func TestConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Config)
		want   error
	}{
		"no name":        {func(c *Config) { c.Node.Name = " " }, registry.ErrInvalidDefinition},
		"NUL in a name":  {func(c *Config) { c.Node.Name = "a\x00" }, registry.ErrInvalid},
		"short lease":    {func(c *Config) { c.LeaseTTL = time.Millisecond }, registry.ErrInvalidTTL},
		"negative lease": {func(c *Config) { c.LeaseTTL = -1 }, registry.ErrInvalidTTL},
		"bad service":    {func(c *Config) { c.Services = []registry.ServiceDefinition{{}} }, registry.ErrInvalidDefinition},
	} {
		c := config()
		tt.change(&c)
		_, err := New(c, newFake(), nil, nil)
		wantErr(t, name, err, tt.want)
	}
	c := config()
	c.LeaseTTL = 0
	if a := newAgent(t, c, newFake(), nil); a.cfg.LeaseTTL != 15*time.Second {
		t.Errorf("the lease's TTL is %v by default", a.cfg.LeaseTTL)
	}
}
