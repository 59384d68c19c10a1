package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/storetest"
)

// keysOf lists what the catalog space holds, in a readable form.
func keysOf(t *testing.T, s registry.Store) []registry.KeyValue {
	t.Helper()
	r, err := s.Range(t.Context(), registry.RangeRequest{Space: registry.SpaceCatalog, KeyRange: registry.All(), Consistency: registry.Stale})
	if err != nil {
		t.Fatal(err)
	}
	return r.KVs
}

// TestOnAStore runs an agent on a real store: its records hang from its lease, come and
// go with it, and unchanged ones are not written again.
func TestOnAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewMemory(t)
		script := newScripted()
		script.say("x", registry.Passing, "ok")
		a := newAgent(t, config(), StoreUpstream(store, catalog.New()), script.kinds())
		stop := start(t, a)
		register(t, a, offer("web", scriptedDef("c", "x")))
		pass(2 * time.Second)

		lease := a.Sync().Lease
		want := map[string]bool{
			catalog.NodeKey("n1"): true, catalog.CheckKey("n1", "", registry.NodeCheckID): true,
			catalog.InstanceKey("n1", "web"): true, catalog.CheckKey("n1", "web", "c"): true,
		}
		kvs := keysOf(t, store)
		if len(kvs) != len(want) {
			t.Errorf("%d records, want %d", len(kvs), len(want))
		}
		revision := int64(0)
		for _, kv := range kvs {
			if !want[kv.Key] || kv.Lease != lease {
				t.Errorf("record %q with lease %d, want lease %d", kv.Key, kv.Lease, lease)
			}
			if kv.Key == catalog.CheckKey("n1", "web", "c") {
				c, err := catalog.DecodeCheck(kv.Value)
				if err != nil || c.Status != registry.Passing {
					t.Errorf("the check is %+v, %v", c, err)
				}
			}
			revision = max(revision, kv.ModRevision)
		}
		// An hour of passing checks and comparisons writes nothing.
		pass(time.Hour)
		for _, kv := range keysOf(t, store) {
			if kv.ModRevision > revision {
				t.Errorf("record %q was written again", kv.Key)
			}
		}
		// Lost quorum: nothing ends, and it goes on afterwards.
		store.SetOutage(registry.ErrNoLeader)
		script.say("x", registry.Critical, "dead")
		pass(10 * time.Minute)
		store.SetOutage(nil)
		pass(6 * time.Second)
		if s := a.Sync(); s.Lease != lease || !s.InSync {
			t.Errorf("after the outage sync is %+v, want lease %d", s, lease)
		}
		for _, kv := range keysOf(t, store) {
			if kv.Key == catalog.CheckKey("n1", "web", "c") {
				if c, err := catalog.DecodeCheck(kv.Value); err != nil || c.Status != registry.Critical {
					t.Errorf("after the outage the check is %+v, %v", c, err)
				}
			}
		}
		stop()
		if kvs := keysOf(t, store); len(kvs) != 0 {
			t.Errorf("after an orderly stop %d records are left", len(kvs))
		}
	})
}

// killed is an upstream that can be cut off for good, as by kill -9.
type killed struct {
	Upstream
	dead chan struct{}
}

func (k killed) RevokeLease(ctx context.Context, id registry.LeaseID) error {
	select {
	case <-k.dead:
		return errDown
	default:
		return k.Upstream.RevokeLease(ctx, id)
	}
}

// TestKill ends an agent without a word: its records go with the lease, all at once.
// Another start within the TTL takes the lease up again and nothing goes.
func TestKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewMemory(t)
		cfg := config()
		cfg.DataDir = t.TempDir()
		begin := func() (a *Agent, kill func()) {
			up := killed{StoreUpstream(store, catalog.New()), make(chan struct{})}
			a = newAgent(t, cfg, up, nil)
			stop := start(t, a)
			return a, func() { close(up.dead); stop() }
		}
		a, kill := begin()
		register(t, a, offer("web", ttlDef("c", registry.Passing)))
		pass(time.Second)
		lease := a.Sync().Lease
		before := keysOf(t, store)
		kill()

		pass(5 * time.Second)
		a, kill = begin()
		pass(time.Second)
		if s := a.Sync(); s.Lease != lease || !s.InSync {
			t.Errorf("sync is %+v, want lease %d taken up again", s, lease)
		}
		after := keysOf(t, store)
		if len(after) != len(before) {
			t.Errorf("%d records, want %d", len(after), len(before))
		}
		for i := range after {
			if after[i].Key != before[i].Key || after[i].ModRevision != before[i].ModRevision {
				t.Errorf("record %q was written again by the restart", after[i].Key)
			}
		}
		if ids, _ := store.ListLeases(t.Context()); len(ids) != 1 {
			t.Errorf("leases are %v", ids)
		}
		kill()

		watch, err := store.Watch(t.Context(), registry.WatchRequest{Space: registry.SpaceCatalog, KeyRange: registry.All()})
		if err != nil {
			t.Fatal(err)
		}
		defer watch.Close()
		killedAt := time.Now()
		commits, err := watch.Next(t.Context())
		if err != nil || len(commits) != 1 || len(commits[0].Events) != len(before) {
			t.Errorf("the end was %v, %v; want one commit of %d deletions", commits, err, len(before))
		}
		if took := time.Since(killedAt); took > cfg.LeaseTTL+2*time.Second {
			t.Errorf("everything was gone after %v", took)
		}

		// A start after the TTL gets a lease of its own.
		a, _ = begin()
		pass(time.Second)
		if s := a.Sync(); s.Lease == lease || !s.InSync || len(keysOf(t, store)) != len(before) {
			t.Errorf("sync is %+v with %d records", s, len(keysOf(t, store)))
		}
	})
}

// TestReplacedInstance checks the operations on a real store when an instance changes
// its service, and a check its instance.
func TestReplacedInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewMemory(t)
		follow, cancel := context.WithCancel(t.Context())
		defer cancel()
		cat := catalog.New()
		done := make(chan struct{})
		go func() { defer close(done); _ = cat.Follow(follow, store) }()
		a := newAgent(t, config(), StoreUpstream(store, catalog.New()), nil)
		start(t, a)
		d := offer("web", ttlDef("c", registry.Passing))
		d.ID = "one"
		register(t, a, d)
		pass(time.Second)
		if s := cat.Index().Service("web"); s == nil || len(s.Serving(true)) != 1 {
			t.Fatalf("web is %+v", s)
		}
		d.Name = "api"
		register(t, a, d)
		pass(time.Second)
		if s := cat.Index().Service("api"); s == nil || len(s.Serving(true)) != 1 || s.Instances()[0].Checks[0].ServiceName != "api" {
			t.Errorf("api is %+v", s)
		}
		if s := cat.Index().Service("web"); s != nil {
			t.Errorf("web is still %+v", s)
		}
		cancel()
		<-done
	})
}
