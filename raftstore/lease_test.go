package raftstore

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/mvcc"
)

var testLeases = LeaseConfig{Tick: 100 * time.Millisecond, MaxStep: 500 * time.Millisecond, ExpiryBatch: 4, CheckpointInterval: 10 * time.Second}

// clockWith is a clock that leads term 1 with the given leases.
func clockWith(cfg LeaseConfig, grants ...mvcc.LeaseGrant) *leaseClock {
	st := mvcc.New()
	for _, g := range grants {
		st.Apply(&mvcc.Command{Grant: &g})
	}
	c := newLeaseClock(cfg)
	c.lead(1, st.Publish)
	return c
}

// pass lets d go by, in confirmed ticks.
func pass(c *leaseClock, d time.Duration) {
	for ; d > 0; d -= c.cfg.Tick {
		time.Sleep(min(d, c.cfg.Tick))
		c.tickNow(true)
	}
}

func expiredIDs(c *leaseClock) []registry.LeaseID {
	var ids []registry.LeaseID
	for b := c.expired(); b != nil; b = c.expired() {
		for _, l := range b.leases {
			ids = append(ids, l.id)
		}
	}
	return ids
}

func TestLeaseClockChargesOnlyConfirmedTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		idle func(c *leaseClock)
		want time.Duration // charged
	}{
		{"ticks", func(c *leaseClock) { pass(c, 2*time.Second) }, 2 * time.Second},
		{"a stall of the process", func(c *leaseClock) {
			time.Sleep(time.Minute)
			c.tickNow(true)
		}, 500 * time.Millisecond},
		{"a lost quorum", func(c *leaseClock) {
			for range 100 {
				time.Sleep(100 * time.Millisecond)
				c.tickNow(false)
			}
			pass(c, 300*time.Millisecond)
		}, 300 * time.Millisecond},
		{"a clock that does not lead", func(c *leaseClock) {
			c.follow()
			pass(c, time.Minute)
			c.lead(2, func() *mvcc.View {
				st := mvcc.New()
				st.Apply(&mvcc.Command{Grant: &mvcc.LeaseGrant{ID: 1, TTL: time.Minute}})
				return st.Publish()
			})
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := clockWith(testLeases, mvcc.LeaseGrant{ID: 1, TTL: time.Minute})
				c.idle(clock)
				left, _, ok := clock.remaining(1)
				if want := time.Minute - c.want; !ok || left != want {
					t.Errorf("%v left, want %v", left, want)
				}
			})
		})
	}
}

// What is left counts the time since the last tick, and a keepalive between two
// ticks is not charged for the time before it.
func TestLeaseClockBetweenTicks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clockWith(testLeases, mvcc.LeaseGrant{ID: 1, TTL: time.Second})
		pass(c, 100*time.Millisecond)
		time.Sleep(90 * time.Millisecond)
		if left, _, _ := c.remaining(1); left != 810*time.Millisecond {
			t.Errorf("%v left, want 810ms", left)
		}
		if r, ok := c.renew(1); !ok || !r.found {
			t.Fatal("no such lease")
		}
		start := time.Now()
		for len(expiredIDs(c)) == 0 {
			pass(c, 100*time.Millisecond)
		}
		if lived := time.Since(start); lived < time.Second || lived > time.Second+2*c.cfg.Tick {
			t.Errorf("lived %v after the keepalive, want 1s and at most two ticks", lived)
		}
	})
}

func TestLeaseClockMarksAndWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clockWith(testLeases, mvcc.LeaseGrant{ID: 1, TTL: time.Second}, mvcc.LeaseGrant{ID: 2, TTL: time.Hour})
		pass(c, 1100*time.Millisecond)
		b := c.expired()
		if b == nil || len(b.leases) != 1 || b.leases[0].id != 1 {
			t.Fatalf("expired %+v, want lease 1", b)
		}
		if again := c.expired(); again != nil {
			t.Errorf("a marked lease was picked again")
		}
		// While its revocation is under way, neither a keepalive nor a grant decides.
		if r, _ := c.renew(1); r.wait != b {
			t.Errorf("a keepalive of a marked lease does not wait: %+v", r)
		}
		if wait := c.beginGrant(1); wait != b {
			t.Errorf("a grant of a marked lease does not wait")
		}
		// The revocation came to nothing: the lease lives, and a keepalive saves it.
		c.resolve(b)
		if r, _ := c.renew(1); !r.found {
			t.Errorf("the lease is gone though it was not revoked")
		}
		pass(c, 500*time.Millisecond)
		if ids := expiredIDs(c); ids != nil {
			t.Errorf("%v expired in spite of the keepalive", ids)
		}
		// Nobody keeps it alive: it is picked again, and this time revoked.
		pass(c, time.Second)
		b = c.expired()
		if b == nil {
			t.Fatal("not picked again")
		}
		c.apply([]mvcc.LeaseChange{{ID: 1, Ended: true}})
		c.resolve(b)
		if r, ok := c.renew(1); !ok || r.found || r.wait != nil {
			t.Errorf("a revoked lease answers %+v", r)
		}
		select {
		case <-b.done:
		default:
			t.Error("nobody was told of the outcome")
		}
	})
}

// A revocation must not end up behind a new grant of the same id.
func TestLeaseClockSparesAnIDBeingGranted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clockWith(testLeases, mvcc.LeaseGrant{ID: 1, TTL: time.Second})
		if wait := c.beginGrant(1); wait != nil {
			t.Fatal("nothing to wait for yet")
		}
		pass(c, 3*time.Second)
		if ids := expiredIDs(c); ids != nil {
			t.Errorf("%v picked while its id is being granted", ids)
		}
		// A client revoked it and granted it anew.
		c.apply([]mvcc.LeaseChange{{ID: 1, Ended: true}, {ID: 1, TTL: time.Second}})
		c.endGrant(1)
		pass(c, 900*time.Millisecond)
		if ids := expiredIDs(c); ids != nil {
			t.Errorf("%v picked before its time", ids)
		}
		pass(c, 300*time.Millisecond)
		if ids := expiredIDs(c); len(ids) != 1 {
			t.Errorf("%v picked, want 1", ids)
		}
		if len(c.granting) != 0 {
			t.Errorf("grants under way: %v", c.granting)
		}
	})
}

func TestLeaseClockCheckpoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clockWith(testLeases, mvcc.LeaseGrant{ID: 1, TTL: time.Minute}, mvcc.LeaseGrant{ID: 2, TTL: time.Minute}, mvcc.LeaseGrant{ID: 3, TTL: 15 * time.Second})
		pass(c, 8*time.Second)
		c.renew(2)
		pass(c, 4*time.Second)
		ids := c.unrenewed()
		if len(ids) != 1 || ids[0] != 1 {
			t.Fatalf("worth a checkpoint: %v, want 1 (2 was renewed, 3 is short)", ids)
		}
		b, left := c.checkpoint(ids)
		if len(left) != 1 || left[0] != (mvcc.LeaseRemaining{ID: 1, Remaining: 48 * time.Second}) {
			t.Errorf("checkpoint of %v, want 48s of lease 1", left)
		}
		if r, _ := c.renew(1); r.wait != b {
			t.Errorf("a keepalive overtakes the checkpoint: %+v", r)
		}
		c.resolve(b)
		// The checkpoint has to be taken back before the keepalive counts.
		r, _ := c.renew(1)
		if r.clear == nil || r.found {
			t.Fatalf("a keepalive leaves the checkpoint: %+v", r)
		}
		if r2, _ := c.renew(1); r2.wait != r.clear {
			t.Errorf("a second keepalive does not wait for the first: %+v", r2)
		}
		c.resolveCleared(r.clear)
		if r, _ := c.renew(1); !r.found {
			t.Errorf("keepalive after that: %+v", r)
		}
		if left, _, _ := c.remaining(1); left != time.Minute {
			t.Errorf("%v left, want 1m", left)
		}
	})
}

func TestLeaseClockStartsFromCheckpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := mvcc.New()
		for _, g := range []mvcc.LeaseGrant{{ID: 1, TTL: time.Hour}, {ID: 2, TTL: time.Hour}, {ID: 3, TTL: registry.NoTTL}} {
			st.Apply(&mvcc.Command{Grant: &g})
		}
		st.Apply(&mvcc.Command{Checkpoint: &mvcc.LeaseCheckpoint{Remaining: []mvcc.LeaseRemaining{{ID: 1, Remaining: time.Minute}}}})
		c := newLeaseClock(testLeases)
		c.lead(1, st.Publish)
		for id, want := range map[registry.LeaseID]time.Duration{1: time.Minute, 2: time.Hour, 3: 0} {
			if left, found, _ := c.remaining(id); !found || left != want {
				t.Errorf("lease %d has %v left (found: %v), want %v", id, left, found, want)
			}
		}
		if r, _ := c.renew(1); r.clear == nil {
			t.Error("a keepalive leaves the checkpoint of an earlier leader")
		}
		pass(c, 2*time.Hour)
		if ids := expiredIDs(c); len(ids) != 1 || ids[0] != 2 {
			t.Errorf("expired %v, want 2 (3 never does, 1 waits for its keepalive)", ids)
		}
	})
}

// Whatever happens in whatever order, also while a tick is being confirmed, a lease is picked
// for expiry only when the confirmed time since it was last renewed or granted is at
// least its time to live, and it is picked soon after that.
func TestLeaseClockAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type model struct {
			ttl     time.Duration
			renewed time.Time
			// used is what confirmed ticks may have charged for the time after renewed.
			used time.Duration
			// tried is set from when it was picked in vain until the clock moves on.
			tried bool
		}
		now := time.Now()
		ticked, ticking := now, time.Time{} // ticking is zero while no tick is under way
		c := newLeaseClock(testLeases)
		c.wall = func() time.Time { return now }
		c.lead(1, mvcc.New().View)
		leases := map[registry.LeaseID]*model{}
		idOf := rapid.Custom(func(t *rapid.T) registry.LeaseID { return registry.LeaseID(rapid.IntRange(1, 5).Draw(t, "id")) })
		beginTick := func() {
			ticking = now
			c.beginTick()
		}
		endTick := func(confirmed bool) {
			c.tick(confirmed)
			from, to := ticked, ticking
			ticked, ticking = ticking, time.Time{}
			if !confirmed {
				return
			}
			for _, m := range leases {
				m.tried = m.tried && !to.After(from)
				if to.After(m.renewed) {
					since := min(to.Sub(from), to.Sub(m.renewed))
					m.used += min(since, testLeases.MaxStep)
				}
			}
		}
		expire := func(t *rapid.T) {
			for b := c.expired(); b != nil; b = c.expired() {
				if len(b.leases) > testLeases.ExpiryBatch {
					t.Fatalf("a batch of %d", len(b.leases))
				}
				revoked := rapid.Bool().Draw(t, "revoked")
				for _, l := range b.leases {
					m := leases[l.id]
					if m == nil {
						t.Fatalf("lease %d picked, it does not exist", l.id)
					}
					if m.used < m.ttl || now.Sub(m.renewed) < m.ttl {
						t.Fatalf("lease %d of %v picked after %v, of which %v were confirmed", l.id, m.ttl, now.Sub(m.renewed), m.used)
					}
					m.tried = true
					if revoked {
						c.apply([]mvcc.LeaseChange{{ID: l.id, Ended: true}})
						delete(leases, l.id)
					}
				}
				c.resolve(b)
				if !revoked {
					return
				}
			}
			for id, m := range leases {
				// A deadline allows for what was not charged when it was set, and which the
				// next two ticks may not charge after all.
				if m.used >= m.ttl+2*testLeases.MaxStep && !m.tried {
					t.Fatalf("lease %d not picked after %v of %v", id, m.used, m.ttl)
				}
			}
		}
		pass := func(t *rapid.T) {
			now = now.Add(time.Duration(rapid.IntRange(1, 900).Draw(t, "ms")) * time.Millisecond)
		}
		renew := func(t *rapid.T) {
			id := idOf.Draw(t, "id")
			r, ok := c.renew(id)
			if m := leases[id]; !ok || r.found != (m != nil) {
				t.Fatalf("renew %d: %+v, in the model: %v", id, r, m != nil)
			} else if m != nil {
				*m = model{ttl: m.ttl, renewed: now}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"time passes": pass,
			"tick": func(t *rapid.T) {
				if ticking.IsZero() {
					now = now.Add(testLeases.Tick)
					beginTick()
				}
				endTick(true)
				expire(t)
			},
			"begin tick": func(t *rapid.T) {
				if ticking.IsZero() {
					beginTick()
				}
			},
			"end tick": func(t *rapid.T) {
				if !ticking.IsZero() {
					endTick(rapid.Bool().Draw(t, "confirmed"))
					expire(t)
				}
			},
			"grant": func(t *rapid.T) {
				id := idOf.Draw(t, "id")
				ttl := time.Duration(rapid.IntRange(1, 8).Draw(t, "ttl")) * 500 * time.Millisecond
				c.apply([]mvcc.LeaseChange{{ID: id, TTL: ttl}})
				leases[id] = &model{ttl: ttl, renewed: now}
			},
			"revoke": func(t *rapid.T) {
				id := idOf.Draw(t, "id")
				c.apply([]mvcc.LeaseChange{{ID: id, Ended: true}})
				delete(leases, id)
			},
			"renew": renew,
			"renew while a tick is confirmed": func(t *rapid.T) {
				if ticking.IsZero() {
					pass(t)
					beginTick()
				}
				pass(t)
				renew(t)
				endTick(true)
				expire(t)
			},
			"remaining": func(t *rapid.T) {
				id := idOf.Draw(t, "id")
				left, found, ok := c.remaining(id)
				m := leases[id]
				if !ok || found != (m != nil) {
					t.Fatalf("remaining of %d: found %v, in the model: %v", id, found, m != nil)
				}
				if m != nil && (left > m.ttl || left < m.ttl-now.Sub(m.renewed)) {
					t.Fatalf("%v left of %v, %v after it was renewed", left, m.ttl, now.Sub(m.renewed))
				}
			},
			"": func(t *rapid.T) {
				if len(c.leases) != len(leases) || len(c.due) > len(leases) {
					t.Fatalf("%d leases and %d in the heap, want %d", len(c.leases), len(c.due), len(leases))
				}
				for i, l := range c.due {
					if l.pos != i || i > 0 && c.due[(i-1)/2].at > l.at {
						t.Fatalf("the heap is not one at %d", i)
					}
				}
			},
		})
	})
}

// A renewal while a tick is being confirmed is charged neither for what that tick
// charges nor for what had passed when it came.
func TestLeaseClockWhileConfirming(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clockWith(testLeases, mvcc.LeaseGrant{ID: 1, TTL: time.Second})
		time.Sleep(500 * time.Millisecond)
		c.beginTick()
		time.Sleep(500 * time.Millisecond) // the quorum takes its time
		if left, _, _ := c.remaining(1); left != 0 {
			t.Errorf("%v left, want none", left)
		}
		c.renew(1)
		start := time.Now()
		c.tick(true)
		c.tickNow(true)
		for len(expiredIDs(c)) == 0 {
			pass(c, 100*time.Millisecond)
		}
		if lived := time.Since(start); lived != time.Second {
			t.Errorf("lived %v after the keepalive, want 1s", lived)
		}
	})
}

// tickNow is a tick that is confirmed, or not, at once.
func (c *leaseClock) tickNow(confirmed bool) {
	c.beginTick()
	c.tick(confirmed)
}

func BenchmarkLeaseClockLead(b *testing.B) {
	st := mvcc.New()
	const n = 1_000_000
	for i := range n {
		st.Apply(&mvcc.Command{Grant: &mvcc.LeaseGrant{ID: registry.LeaseID(i + 1), TTL: time.Duration(i%3600+1) * time.Second}})
	}
	st.Publish()
	for _, what := range []string{"lead", "renew", "tick"} {
		b.Run(fmt.Sprintf("%s/leases=%d", what, n), func(b *testing.B) {
			c := newLeaseClock(DefaultConfig().Leases)
			c.lead(1, st.View)
			b.ResetTimer()
			for i := range b.N {
				switch what {
				case "lead":
					c.lead(1, st.View)
				case "renew":
					c.renew(registry.LeaseID(i%n + 1))
				case "tick":
					c.tickNow(true)
					c.expired()
				}
			}
		})
	}
}
