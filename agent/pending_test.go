package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/storetest"
)

// counted counts what an agent asks for of a store in memory.
type counted struct {
	storeUpstream
	whole, changes int
}

func (u *counted) Advertise(ctx context.Context, lease registry.LeaseID, want catalog.NodeRecords) error {
	u.whole++
	return u.storeUpstream.Advertise(ctx, lease, want)
}

func (u *counted) AdvertiseChanges(ctx context.Context, lease registry.LeaseID, changes catalog.NodeChanges) error {
	u.changes++
	return u.storeUpstream.AdvertiseChanges(ctx, lease, changes)
}

// wantWhole wants the catalog to be what the whole of the state is: then to advertise that changes nothing.
func wantWhole(t *testing.T, a *Agent, store registry.Store) {
	t.Helper()
	revision := func() int64 {
		r, err := store.Range(t.Context(), registry.RangeRequest{Space: registry.SpaceCatalog, KeyRange: registry.All()})
		if err != nil {
			t.Fatal(err)
		}
		return r.Revision
	}
	a.state.mu.Lock()
	want := a.state.recordsLocked(a.cfg.Node, time.Now())
	a.state.mu.Unlock()
	before := revision()
	if err := catalog.Advertise(t.Context(), store, a.Sync().Lease, want); err != nil {
		t.Fatal(err)
	}
	if now := revision(); now != before {
		t.Errorf("the catalog was not what the agent has: to advertise that took it from revision %d to %d", before, now)
	}
}

// Whatever is registered, withdrawn and reported, the catalog is in the end what all of it comes to, and hardly any of it was looked
// at as a whole.
func TestChangesComeToTheWhole(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, script := storetest.NewMemory(t), newScripted()
				up := &counted{storeUpstream: storeUpstream{store, nil}}
				a := newAgent(t, config(), up, script.kinds())
				start(t, a)
				pass(time.Second)
				rng := rand.New(rand.NewPCG(seed, 1))
				pick := func(of string) string { return of + fmt.Sprint(rng.IntN(4)) }
				for range 60 {
					for range 1 + rng.IntN(4) {
						step(t, a, script, rng, pick)
					}
					pass(time.Duration(rng.IntN(3000)) * time.Millisecond)
					if rng.IntN(4) == 0 {
						pass(5 * time.Second)
						wantWhole(t, a, store)
					}
				}
				pass(5 * time.Second)
				wantWhole(t, a, store)
				if up.changes < 20 || up.whole > 10 {
					t.Errorf("advertised %d times by changes, and %d times as a whole", up.changes, up.whole)
				}
			})
		})
	}
}

// step does something, which may be refused.
func step(t *testing.T, a *Agent, script *scripted, rng *rand.Rand, pick func(string) string) {
	ctx := t.Context()
	statuses := []registry.HealthStatus{registry.Passing, registry.Warning, registry.Critical}
	switch rng.IntN(8) {
	case 0, 1, 2:
		d := registry.ServiceDefinition{ID: pick("id"), Name: pick("name"), Port: rng.IntN(3)}
		for range rng.IntN(3) {
			c := scriptedDef(pick("check"), pick("script"))
			c.Interval = time.Second
			d.Checks = append(d.Checks, c)
		}
		_, _ = a.RegisterService(ctx, d, rng.IntN(2) == 0)
	case 3:
		_ = a.DeregisterService(ctx, pick("id"))
	case 4:
		c := scriptedDef(pick("check"), pick("script"))
		if c.Interval = time.Second; rng.IntN(2) == 0 {
			c.ServiceID = pick("id")
		}
		_ = a.RegisterCheck(ctx, c)
	case 5:
		_ = a.DeregisterCheck(ctx, pick("check"))
	case 6:
		_ = a.SetServiceMaintenance(ctx, pick("id"), rng.IntN(2) == 0, "because")
	default:
		script.say(pick("script"), statuses[rng.IntN(3)], fmt.Sprint(rng.IntN(3)))
	}
}

// What others did to the node's own record is noticed at the next change, and what they did to the rest within
// the time of the comparisons.
func TestChangesOnTopOfAnothersWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewMemory(t)
		up := &counted{storeUpstream: storeUpstream{store, nil}}
		a := newAgent(t, config(), up, nil)
		start(t, a)
		register(t, a, offer("one"))
		pass(time.Second)
		remove := func(key string) {
			t.Helper()
			if _, err := store.Txn(t.Context(), registry.Txn{Then: []registry.Op{{Delete: &registry.DeleteRequest{Space: registry.SpaceCatalog, KeyRange: registry.One(key)}}}}); err != nil {
				t.Fatal(err)
			}
		}
		remove(catalog.NodeKey("n1"))
		remove(catalog.InstanceKey("n1", "one"))
		register(t, a, offer("two"))
		pass(time.Second)
		wantWhole(t, a, store)

		remove(catalog.InstanceKey("n1", "one"))
		register(t, a, offer("three"))
		pass(time.Second)
		if n := len(keysOf(t, store)); n != 4 {
			t.Errorf("%d records, want the node, its check, and two of three services", n)
		}
		pass(2 * antiEntropy)
		wantWhole(t, a, store)
	})
}

// Of very many changes at once everything is looked at.
func TestTooManyChanges(t *testing.T) {
	var p pending
	for i := range maxPending {
		p.service(fmt.Sprint(i))
	}
	if p.all || len(p.services) != maxPending {
		t.Errorf("%d are pending, all: %v", len(p.services), p.all)
	}
	p.check(&registry.CheckDefinition{ID: "c"})
	p.service("one more")
	if !p.all || len(p.services)+len(p.checks) != 0 {
		t.Errorf("%d are pending, all: %v", len(p.services)+len(p.checks), p.all)
	}
}
