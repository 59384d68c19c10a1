package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

var errDown = errors.New("connection refused")

func down(context.Context) error { return errDown }

// hang waits until the caller gives up.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestLeaseIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		stop := start(t, a)
		synctest.Wait()
		if n := len(up.take("grant")); n != 1 {
			t.Fatalf("%d grants at the start", n)
		}
		pass(time.Minute)
		calls := up.take("grant", "keepalive")
		if len(calls) != 12 {
			t.Errorf("%d lease calls in a minute, want one every 5s", len(calls))
		}
		for _, c := range calls {
			if c.name != "keepalive" || c.lease != 101 || c.caller.Identity != "agent:n1" || c.caller.Reason != registry.ReasonAgent {
				t.Errorf("call %+v", c)
			}
		}
		s := a.Sync()
		if s.Lease != 101 || !s.InSync || s.LastError != "" || time.Since(s.LastContact) > 5*time.Second {
			t.Errorf("sync is %+v", s)
		}
		stop()
		if n, leases := up.count(), up.leaseIDs(); n != 0 || len(leases) != 0 {
			t.Errorf("after an orderly stop there are %d records and leases %v", n, leases)
		}
	})
}

// TestKeepAliveDoesNotDependOnAdvertising has every attempt to advertise hang.
func TestKeepAliveDoesNotDependOnAdvertising(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		start(t, a)
		pass(time.Second)
		up.setAdvFault(hang)
		register(t, a, offer("web"))
		up.take()
		pass(5 * time.Minute)
		if n := len(up.take("keepalive")); n != 60 {
			t.Errorf("%d keepalives in 5 minutes, want 60", n)
		}
		if ids := up.leaseIDs(); len(ids) != 1 || ids[0] != 101 {
			t.Errorf("leases are %v", ids)
		}
		if s := a.Sync(); s.InSync || s.LastError == "" || s.Lease != 101 {
			t.Errorf("sync is %+v", s)
		}
		up.setAdvFault(nil)
		pass(20 * time.Second)
		if got := up.has(); got != "service web" || !a.Sync().InSync {
			t.Errorf("afterwards the catalog has %q, sync %+v", got, a.Sync())
		}
	})
}

// TestLostLease has the lease run out while no server can be reached.
func TestLostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, log := newFake(), &journal{}
		a, err := New(config(), up, nil, log.log())
		if err != nil {
			t.Fatal(err)
		}
		start(t, a)
		register(t, a, offer("web", ttlDef("c", registry.Passing)))
		pass(time.Second)
		up.setFault(down)
		up.take()
		pass(30 * time.Second)
		if n := up.count(); n != 0 {
			t.Errorf("%d records outlived their lease", n)
		}
		calls := up.take("keepalive", "grant")
		if len(calls) < 12 || len(calls) > 40 {
			t.Errorf("%d tries in 30s: not backed off, or given up", len(calls))
		}
		for _, c := range calls {
			if c.name != "keepalive" || c.lease != 101 {
				t.Errorf("while servers are down it asked for %s %d: the lease may yet be alive", c.name, c.lease)
			}
		}
		if s := a.Sync(); s.InSync && s.LastError == "" || s.LastError != errDown.Error() {
			t.Errorf("sync is %+v", s)
		}
		if n := log.count("level=WARN", "the lease cannot be kept alive"); n != 1 {
			t.Errorf("the trouble was told %d times, want once", n)
		}
		up.setFault(nil)
		pass(6 * time.Second) // the longest backoff, and a little
		if got := up.has(); got != "check c passing, service web" {
			t.Errorf("after the servers came back the catalog has %q", got)
		}
		if ids := up.leaseIDs(); len(ids) != 1 || ids[0] != 102 || a.Sync().Lease != 102 || !a.Sync().InSync {
			t.Errorf("leases %v, sync %+v", ids, a.Sync())
		}
		if log.count("kept alive again") != 1 {
			t.Error("the end of the trouble was not told")
		}
	})
}

// TestOutageWithinTheTTL keeps the lease it has.
func TestOutageWithinTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fault := range []func(context.Context) error{down, hang} {
			up := newFake()
			a := newAgent(t, config(), up, nil)
			stop := start(t, a)
			register(t, a, offer("web"))
			pass(time.Second)
			for range 20 {
				up.setFault(fault)
				pass(6 * time.Second)
				up.setFault(nil)
				pass(6 * time.Second)
			}
			if ids := up.leaseIDs(); len(ids) != 1 || ids[0] != 101 || up.has() != "service web" {
				t.Errorf("leases %v, catalog %q", ids, up.has())
			}
			stop()
		}
	})
}

// TestLeaseEndedBehindOurBack is found out by advertising before the next keepalive.
func TestLeaseEndedBehindOurBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		start(t, a)
		register(t, a, offer("web"))
		pass(time.Second)
		up.end(101)
		register(t, a, offer("db"))
		pass(200 * time.Millisecond)
		if got := up.has(); got != "service db, service web" {
			t.Errorf("catalog has %q", got)
		}
		if ids := up.leaseIDs(); len(ids) != 1 || ids[0] != 102 {
			t.Errorf("leases are %v", ids)
		}
	})
}

// TestLeasesThatDoNotLast must not make the agent spin.
func TestLeasesThatDoNotLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		up.setAdvFault(func(context.Context) error {
			for _, id := range up.leaseIDs() {
				up.end(id)
			}
			return nil
		})
		start(t, a)
		pass(time.Minute)
		if n := len(up.take("grant", "keepalive", "advertise")); n > 150 {
			t.Errorf("%d calls in a minute", n)
		}
		up.setAdvFault(nil)
		pass(20 * time.Second)
		if !a.Sync().InSync {
			t.Errorf("sync is %+v", a.Sync())
		}
	})
}

func TestStopWithServersDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, log := newFake(), &journal{}
		a, err := New(config(), up, nil, log.log())
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, a)
		pass(time.Second)
		up.setFault(hang)
		began := time.Now()
		stop()
		if took := time.Since(began); took > stopTimeout {
			t.Errorf("stopping took %v", took)
		}
		if log.count("cannot be revoked") != 1 {
			t.Error("it was not told that the lease stays")
		}
	})
}

func TestNoServerAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		up.setFault(down)
		a := newAgent(t, config(), up, nil)
		start(t, a)
		pass(time.Minute)
		register(t, a, offer("web", ttlDef("c", "")))
		if err := a.UpdateTTL(t.Context(), "c", registry.Passing, ""); err != nil {
			t.Error(err)
		}
		if s := a.Sync(); s.Lease != 0 || s.InSync || s.LastError != errDown.Error() || !s.LastContact.IsZero() {
			t.Errorf("sync is %+v", s)
		}
		up.setFault(nil)
		pass(6 * time.Second)
		if got := up.has(); got != "check c passing, service web" {
			t.Errorf("catalog has %q", got)
		}
	})
}

// TestElectionAtTheStart: a cluster that is still electing when the agent starts is no
// trouble, unless it lasts.
func TestElectionAtTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		lasts time.Duration
		err   error
		warns int
	}{
		"an election":                {2 * time.Second, registry.ErrNoLeader, 0},
		"a leader that is not ready": {2 * time.Second, registry.ErrUnavailable, 0},
		"no quorum":                  {time.Minute, registry.ErrNoLeader, 1},
		"no server":                  {time.Second, errDown, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				up, log := newFake(), &journal{}
				up.setFault(func(context.Context) error { return c.err })
				a, err := New(config(), up, nil, log.log())
				if err != nil {
					t.Fatal(err)
				}
				start(t, a)
				pass(c.lasts)
				if n := log.count("level=WARN"); n != c.warns {
					t.Errorf("%d warnings, want %d", n, c.warns)
				}
				if s := a.Sync(); s.LastError != c.err.Error() {
					t.Errorf("sync is %+v, want it to say %q", s, c.err)
				}
				up.setFault(nil)
				pass(6 * time.Second)
				if n := log.count("kept alive again"); n != c.warns || !a.Sync().InSync {
					t.Errorf("the end of the trouble was told %d times, want %d; sync %+v", n, c.warns, a.Sync())
				}
				// Later on, the same is worth a warning at once.
				up.setFault(func(context.Context) error { return registry.ErrNoLeader })
				pass(6 * time.Second)
				if n := log.count("level=WARN", "the lease cannot be kept alive"); n != c.warns+1 {
					t.Errorf("%d warnings in all, want %d", n, c.warns+1)
				}
			})
		})
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{min: 100 * time.Millisecond, max: time.Second}
	for range 3 {
		for i, want := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
			want *= time.Millisecond
			if got := b.next(); got < want/2 || got > want {
				t.Errorf("try %d waits %v, want from %v to %v", i+1, got, want/2, want)
			}
		}
		b.reset()
	}
}
