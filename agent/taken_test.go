package agent

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/storetest"
)

const otherID = "b7a1c0de-52d4-4a4c-9a55-5b5f1f0e2c22"

// namesake is the configuration of another node with the same name.
func namesake() Config {
	c := config()
	c.Node.ID, c.Node.Address = otherID, "10.0.0.2"
	return c
}

// instancesOf lists whose node it is, and the services on it.
func instancesOf(t *testing.T, s registry.Store) (nodeID, services string) {
	t.Helper()
	var all []string
	for _, kv := range keysOf(t, s) {
		if n, err := catalog.DecodeNode(kv.Value); err == nil && kv.Key == catalog.NodeKey("n1") {
			nodeID = n.ID
		}
		if i, err := catalog.DecodeInstance(kv.Value); err == nil && kv.Key == catalog.InstanceKey("n1", i.ID) {
			all = append(all, i.ID)
		}
	}
	return nodeID, strings.Join(all, " ")
}

// TestNodeNameTaken starts a second node of one name, beside an agent and beside a
// server, which advertises itself and runs in the store's own process: the first keeps
// all it has, the second says what is wrong until the name is free.
func TestNodeNameTaken(t *testing.T) {
	for name, own := range map[string][]registry.ServiceDefinition{
		"agent and agent":  nil,
		"server and agent": {{Name: "herald"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := storetest.NewMemory(t)
				cfg := config()
				cfg.Services = own
				first := newAgent(t, cfg, StoreUpstream(store, catalog.New()), nil)
				stop := start(t, first)
				register(t, first, offer("web"))
				pass(time.Second)
				_, before := instancesOf(t, store)

				log := &journal{}
				second, err := New(namesake(), StoreUpstream(store, catalog.New()), nil, log.log())
				if err != nil {
					t.Fatal(err)
				}
				start(t, second)
				register(t, second, offer("db"))
				pass(10 * time.Minute)
				if id, services := instancesOf(t, store); id != node.ID || services != before {
					t.Errorf("the node is of %s with %q, want it the first's with %q", id, services, before)
				}
				if s := first.Sync(); !s.InSync || s.LastError != "" {
					t.Errorf("the first's sync is %+v", s)
				}
				s := second.Sync()
				if s.InSync || s.Lease == 0 || time.Since(s.LastContact) > 2*time.Second ||
					!strings.Contains(s.LastError, node.ID) || !strings.Contains(s.LastError, "--node-name") {
					t.Errorf("the second's sync is %+v", s)
				}
				if n := log.count("level=ERROR", "another node has its name", node.ID); n != 1 {
					t.Errorf("it was told %d times, want once", n)
				}

				stop()
				pass(takenRetryMax)
				if id, services := instancesOf(t, store); id != otherID || services != "db" {
					t.Errorf("once the name was free, the node is of %s with %q", id, services)
				}
				if now := second.Sync(); !now.InSync || now.LastError != "" || now.Lease != s.Lease {
					t.Errorf("once the name was free, sync is %+v; the lease was %d", now, s.Lease)
				}
				if log.count("up to date again") != 1 {
					t.Error("the end of the trouble was not told")
				}
			})
		})
	}
}

// TestCrashedPredecessor is followed, under the same name, by a node that lost its ID:
// it takes over soon after the other's lease has run out.
func TestCrashedPredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewMemory(t)
		up := killed{StoreUpstream(store, catalog.New()), make(chan struct{})}
		first := newAgent(t, config(), up, nil)
		stop := start(t, first)
		register(t, first, offer("web"))
		pass(time.Second)
		close(up.dead)
		stop()

		second := newAgent(t, namesake(), StoreUpstream(store, catalog.New()), nil)
		start(t, second)
		register(t, second, offer("web"))
		pass(10 * time.Second)
		if id, _ := instancesOf(t, store); id != node.ID || second.Sync().InSync {
			t.Fatalf("while the lease of the first runs, the node is of %s, sync %+v", id, second.Sync())
		}
		// The first renewed its lease less than LeaseTTL before it died.
		pass(config().LeaseTTL - 10*time.Second)
		pass(takenRetryMax)
		if id, services := instancesOf(t, store); id != otherID || services != "web" || !second.Sync().InSync {
			t.Errorf("%v after the lease's end the node is of %s with %q, sync %+v", takenRetryMax, id, services, second.Sync())
		}
	})
}

// TestExternalNodeIsTakenOver: what was registered from outside, without an ID, is
// nobody's.
func TestExternalNodeIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewMemory(t)
		external := []registry.Op{
			catalog.PutNode(registry.Node{Name: "n1", Address: "10.9.9.9"}, 0),
			catalog.PutInstance(registry.Instance{Node: "n1", ID: "old", Service: "old"}, 0),
		}
		if _, err := store.Txn(t.Context(), registry.Txn{Then: external}); err != nil {
			t.Fatal(err)
		}
		a := newAgent(t, config(), StoreUpstream(store, catalog.New()), nil)
		start(t, a)
		register(t, a, offer("web"))
		pass(time.Second)
		if id, services := instancesOf(t, store); id != node.ID || services != "web" || !a.Sync().InSync {
			t.Errorf("the node is of %s with %q, sync %+v", id, services, a.Sync())
		}
	})
}

// TestChangedID restarts an agent with another ID than the one under which its kept
// lease holds up the node: it must not wait for a lease that it keeps alive itself.
func TestChangedID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewMemory(t)
		dir := t.TempDir()
		cfg := config()
		cfg.DataDir = dir
		up := killed{StoreUpstream(store, catalog.New()), make(chan struct{})}
		first := newAgent(t, cfg, up, nil)
		stop := start(t, first)
		register(t, first, offer("web"))
		pass(time.Second)
		lease := first.Sync().Lease
		close(up.dead)
		stop()

		cfg = namesake()
		cfg.DataDir = dir
		second := newAgent(t, cfg, StoreUpstream(store, catalog.New()), nil)
		start(t, second)
		pass(time.Second)
		if id, services := instancesOf(t, store); id != otherID || services != "web" || second.Sync().Lease != lease {
			t.Errorf("the node is of %s with %q, sync %+v, the lease was %d", id, services, second.Sync(), lease)
		}
	})
}
