package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

// hung registers a service that hangs from a lease.
func hung(t *testing.T, a *Agent, name string, lease registry.LeaseID) {
	t.Helper()
	d := offer(name, ttlDef("check of "+name, ""))
	d.Lease = lease
	register(t, a, d)
}

func granted(t *testing.T, a *Agent, ttl time.Duration) registry.LeaseID {
	t.Helper()
	id, err := a.GrantLease(t.Context(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// local are the names of what the agent has registered.
func local(a *Agent) (names string) {
	for _, s := range a.Services() {
		names += s.Definition.ID + " "
	}
	return names
}

func TestLeasedServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		start(t, a)
		is := func(when, want string) {
			t.Helper()
			pass(time.Millisecond)
			if got := local(a); got != want {
				t.Errorf("%s: registered is %q, want %q", when, got, want)
			}
			for _, name := range []string{"kept", "run", "revoked", "renewed"} {
				_, there := up.check("check of " + name)
				here := false
				for _, s := range a.Services() {
					here = here || s.Definition.ID == name
				}
				if there != here {
					t.Errorf("%s: %s is registered: %t, and in the catalog: %t", when, name, here, there)
				}
			}
		}
		register(t, a, offer("kept", ttlDef("check of kept", "")))
		short, long, mine := granted(t, a, 10*time.Second), granted(t, a, time.Hour), granted(t, a, 12*time.Second)
		hung(t, a, "run", short)
		hung(t, a, "revoked", long)
		hung(t, a, "renewed", mine)
		is("at first", "kept renewed revoked run ")
		for range 4 {
			pass(2 * time.Second)
			if _, err := up.KeepAlive(deadline(t), mine); err != nil {
				t.Fatal(err)
			}
		}
		is("before any ends", "kept renewed revoked run ")
		pass(2*time.Second + heldSoonest)
		is("after one has run out", "kept renewed revoked ")
		up.end(long)
		pass(heldEvery)
		is("after one was revoked", "kept renewed ")

		hung(t, a, "renewed", granted(t, a, time.Hour)) // and the old one runs out
		pass(time.Minute)
		is("after one was registered with another lease", "kept renewed ")
		register(t, a, offer("renewed", ttlDef("check of renewed", "")))
		for _, id := range up.leaseIDs() {
			if id != a.Sync().Lease {
				up.end(id)
			}
		}
		pass(time.Minute)
		is("after one was registered with none", "kept renewed ")

		up.take()
		pass(antiEntropy)
		if n := len(up.take("lease")); n > 0 {
			t.Errorf("leases are asked for %d times, and nothing hangs from any", n)
		}
		d := offer("late")
		d.Lease = short
		_, err := a.RegisterService(t.Context(), d, false)
		wantErr(t, "a lease that has ended", err, registry.ErrLeaseNotFound, "late")
		is("after that", "kept renewed ")
	})
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// While nobody answers for a lease, what hangs from it stays; once somebody does it
// goes, if the lease has ended.
func TestLeasedServiceOutlivesOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		start(t, a)
		lease := granted(t, a, 20*time.Second)
		hung(t, a, "web", lease)
		pass(time.Second)
		for name, fault := range map[string]func(context.Context) error{
			"refused": func(context.Context) error { return registry.ErrNoLeader },
			"no answer": func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			},
		} {
			up.setFault(fault)
			pass(time.Minute)
			if local(a) != "web " {
				t.Errorf("%s: it is gone", name)
			}
			calls := len(up.take("lease"))
			if calls < 5 || calls > 60 {
				t.Errorf("%s: %d calls in a minute", name, calls)
			}
		}
		up.setFault(nil)
		pass(2*heldEvery + heldTimeout)
		if got := local(a); got != "" || up.has() != "" {
			t.Errorf("after the outage there is %q, in the catalog %q", got, up.has())
		}
	})
}

// What hung from a lease that ended while the agent was down never comes back, not for
// a moment.
func TestLeasedServiceAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		cfg := config()
		cfg.DataDir = t.TempDir()
		a := newAgent(t, cfg, up, nil)
		stop := start(t, a)
		ended, alive := granted(t, a, time.Hour), granted(t, a, time.Hour)
		hung(t, a, "ended", ended)
		hung(t, a, "alive", alive)
		pass(time.Second)
		stop()
		up.end(ended)

		again := newAgent(t, cfg, up, nil)
		up.setFault(func(context.Context) error {
			time.Sleep(time.Second) // so that whatever comes first is seen
			return nil
		})
		start(t, again)
		for range 100 {
			pass(100 * time.Millisecond)
			if _, there := up.check("check of ended"); there {
				t.Fatal("it is in the catalog again")
			}
		}
		if _, there := up.check("check of alive"); !there || local(again) != "alive " {
			t.Errorf("the other is not: %q, in the catalog %q", local(again), up.has())
		}
	})
}
