package agent

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/storetest"
)

func aliasDef(id, service, node string) registry.CheckDefinition {
	spec := map[string]any{}
	if service != "" {
		spec["service"] = service
	}
	if node != "" {
		spec["node"] = node
	}
	return registry.CheckDefinition{ID: id, Kind: "alias", Spec: spec}
}

func reported(id string) registry.CheckDefinition {
	return registry.CheckDefinition{ID: id, Kind: "ttl", TTL: time.Hour, Status: registry.Passing}
}

func wantCheck(t *testing.T, a *Agent, when, id string, status registry.HealthStatus, output string) {
	t.Helper()
	for _, c := range a.Checks() {
		if c.Check.ID != id {
			continue
		}
		if c.Check.Status != status || !strings.Contains(c.Check.Output, output) {
			t.Errorf("%s: check %q is %s, %q; want %s, %q", when, id, c.Check.Status, c.Check.Output, status, output)
		}
		return
	}
	t.Errorf("%s: there is no check %q", when, id)
}

func report(t *testing.T, a *Agent, id string, status registry.HealthStatus) {
	t.Helper()
	if err := a.UpdateTTL(t.Context(), id, status, ""); err != nil {
		t.Fatal(err)
	}
}

// TestAliasOfService has a check follow a service of the same agent: at once, without time going by.
func TestAliasOfService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		register(t, a, offer("proxy", aliasDef("alias", "web", "")))
		wantCheck(t, a, "before web is there", "alias", registry.Critical, `no service with the id "web"`)
		start(t, a)
		pass(time.Second)
		if c, _ := up.check("alias"); c.Status != registry.Critical || !strings.Contains(c.Output, `"web"`) {
			t.Errorf("the catalog has %+v", c)
		}

		register(t, a, offer("web"))
		wantCheck(t, a, "a service without checks", "alias", registry.Passing, `no check of service "web" is failing`)
		register(t, a, offer("web", reported("w1"), reported("w2")))
		wantCheck(t, a, "both pass", "alias", registry.Passing, "")
		report(t, a, "w1", registry.Warning)
		wantCheck(t, a, "one warns", "alias", registry.Warning, `check "w1" of service "web" is warning`)
		report(t, a, "w2", registry.Critical)
		wantCheck(t, a, "one is critical", "alias", registry.Critical, `check "w2" of service "web" is critical`)
		pass(time.Second)
		if c, _ := up.check("alias"); c.Status != registry.Critical || c.Kind != "alias" {
			t.Errorf("the catalog has %+v", c)
		}
		if err := a.DeregisterCheck(t.Context(), "w2"); err != nil {
			t.Fatal(err)
		}
		wantCheck(t, a, "that is gone", "alias", registry.Warning, "w1")
		report(t, a, "w1", registry.Passing)
		if err := a.SetServiceMaintenance(t.Context(), "web", true, ""); err != nil {
			t.Fatal(err)
		}
		wantCheck(t, a, "in maintenance", "alias", registry.Critical, "_service_maintenance:web")
		if err := a.SetServiceMaintenance(t.Context(), "web", false, ""); err != nil {
			t.Fatal(err)
		}
		wantCheck(t, a, "out of maintenance", "alias", registry.Passing, "")
		pass(time.Hour + time.Second)
		wantCheck(t, a, "a ttl has run out", "alias", registry.Critical, `check "w1"`)
		if err := a.DeregisterService(t.Context(), "web"); err != nil {
			t.Fatal(err)
		}
		wantCheck(t, a, "web is gone", "alias", registry.Critical, "no service")
		pass(time.Second)
		if c, _ := up.check("alias"); !strings.Contains(c.Output, "no service") {
			t.Errorf("the catalog has another reason: %+v", c)
		}

		// Another target is followed from then on, and the old one no longer.
		register(t, a, offer("db", reported("d1")))
		register(t, a, offer("web", reported("w1")))
		register(t, a, offer("proxy", aliasDef("alias", "db", "")))
		wantCheck(t, a, "another target", "alias", registry.Passing, `"db"`)
		report(t, a, "w1", registry.Critical)
		wantCheck(t, a, "the old one fails", "alias", registry.Passing, `"db"`)
		report(t, a, "d1", registry.Critical)
		wantCheck(t, a, "the new one fails", "alias", registry.Critical, `"d1"`)
	})
}

// TestAliasOfNode follows this node's own checks, however the node is named.
func TestAliasOfNode(t *testing.T) {
	a := newAgent(t, config(), newFake(), nil)
	if err := a.RegisterCheck(t.Context(), reported("disk")); err != nil {
		t.Fatal(err)
	}
	register(t, a, offer("web", aliasDef("by-name", "", "N1"), aliasDef("by-id", "", node.ID), reported("own")))
	if err := a.RegisterCheck(t.Context(), aliasDef("itself", "", "n1")); err != nil {
		t.Fatal(err)
	}
	for _, status := range []registry.HealthStatus{registry.Passing, registry.Critical, registry.Warning} {
		report(t, a, "disk", status)
		report(t, a, "own", registry.Critical) // which is none of the node's
		for _, id := range []string{"by-name", "by-id", "itself"} {
			wantCheck(t, a, "the node is "+string(status), id, status, "the node")
		}
	}
}

// TestAliasesInACircle makes random aliases among services: each stands as the worst of the other checks that it
// reaches, whatever circles there are, and in whatever order it came about.
func TestAliasesInACircle(t *testing.T) {
	statuses := []registry.HealthStatus{registry.Passing, registry.Warning, registry.Critical}
	rapid.Check(t, func(rt *rapid.T) {
		a := newAgent(t, config(), newFake(), nil)
		defer a.Close()
		const n = 4
		follows := map[int]map[int]bool{}
		stands := map[int]registry.HealthStatus{}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			i := rapid.IntRange(0, n-1).Draw(rt, "service")
			name := fmt.Sprintf("s%d", i)
			switch rapid.IntRange(0, 2).Draw(rt, "do") {
			case 0: // anew, with other aliases
				checks := []registry.CheckDefinition{reported("ttl-" + name)}
				follows[i] = map[int]bool{}
				for j := range n {
					if rapid.Bool().Draw(rt, "follows") {
						follows[i][j] = true
						checks = append(checks, aliasDef(fmt.Sprintf("%s-%d", name, j), fmt.Sprintf("s%d", j), ""))
					}
				}
				if _, err := a.RegisterService(t.Context(), offer(name, checks...), true); err != nil {
					rt.Fatal(err)
				}
				if _, was := stands[i]; !was {
					stands[i] = registry.Passing
				}
			case 1:
				if _, is := stands[i]; is {
					stands[i] = rapid.SampledFrom(statuses).Draw(rt, "status")
					if err := a.UpdateTTL(t.Context(), "ttl-"+name, stands[i], ""); err != nil {
						rt.Fatal(err)
					}
				}
			case 2:
				err := a.DeregisterService(t.Context(), name)
				if _, is := stands[i]; is != (err == nil) {
					rt.Fatal(err)
				}
				delete(stands, i)
				delete(follows, i)
			}

			var worst func(i int, seen map[int]bool) registry.HealthStatus
			worst = func(i int, seen map[int]bool) registry.HealthStatus {
				seen[i] = true
				s, is := stands[i]
				if !is {
					return registry.Critical
				}
				for j := range follows[i] {
					if !seen[j] {
						s = s.Worse(worst(j, seen))
					}
				}
				return s
			}
			for _, c := range a.Checks() {
				var of, target int
				if _, err := fmt.Sscanf(c.Check.ID, "s%d-%d", &of, &target); err != nil {
					continue
				}
				if want := worst(target, map[int]bool{}); c.Check.Status != want {
					rt.Fatalf("%s is %s, want %s", c.Check.ID, c.Check.Status, want)
				}
			}
		}
	})
}

// TestAliasElsewhere follows a service on another node through the servers.
func TestAliasElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil)
		register(t, a, offer("proxy", aliasDef("svc", "db", "n2"), aliasDef("node", "", "n2")))
		register(t, a, offer("front", aliasDef("through", "proxy", "")))
		start(t, a)
		pass(time.Second)
		wantCheck(t, a, "no node", "svc", registry.Critical, `the catalog has no node "n2"`)
		wantCheck(t, a, "no node", "node", registry.Critical, `the catalog has no node "n2"`)
		if c, _ := up.check("svc"); !strings.Contains(c.Output, "n2") {
			t.Errorf("the catalog has %+v", c)
		}

		records := func(serf, db registry.HealthStatus) catalog.NodeRecords {
			return catalog.NodeRecords{
				Node:      registry.Node{Name: "n2"},
				Instances: []registry.Instance{{Node: "n2", ID: "db"}, {Node: "n2", ID: "other"}},
				Checks: []registry.Check{
					{Node: "n2", ID: "serfHealth", Status: serf}, {Node: "n2", ID: "c", ServiceID: "db", Status: db},
					{Node: "n2", ID: "o", ServiceID: "other", Status: registry.Critical},
				},
			}
		}
		for _, test := range []struct{ serf, db, svc, node registry.HealthStatus }{
			{registry.Passing, registry.Passing, registry.Passing, registry.Passing},
			{registry.Passing, registry.Warning, registry.Warning, registry.Passing},
			{registry.Passing, registry.Critical, registry.Critical, registry.Passing},
			{registry.Critical, registry.Passing, registry.Critical, registry.Critical},
		} {
			up.setNode("n2", records(test.serf, test.db), nil)
			synctest.Wait() // it is told; nothing is polled
			when := fmt.Sprintf("%+v", test)
			wantCheck(t, a, when, "svc", test.svc, "")
			wantCheck(t, a, when, "node", test.node, "")
			wantCheck(t, a, when, "through", test.svc.Worse(test.node), "")
		}
		gone := records(registry.Passing, registry.Passing)
		gone.Instances = gone.Instances[1:]
		up.setNode("n2", gone, nil)
		synctest.Wait()
		wantCheck(t, a, "the service is gone", "svc", registry.Critical, `node "n2" has no service with the id "db"`)
		wantCheck(t, a, "the service is gone", "node", registry.Passing, "")

		// Servers that cannot be asked for a moment change nothing; for long they do.
		up.setNode("n2", records(registry.Passing, registry.Passing), nil)
		synctest.Wait()
		up.take("node")
		pass(time.Hour)
		if asked := len(up.take("node")); asked > 2*13 {
			t.Errorf("in an hour without changes it asked %d times", asked)
		}
		up.setNode("n2", catalog.NodeRecords{}, errors.New("no servers"))
		pass(5 * time.Second)
		wantCheck(t, a, "no servers for a moment", "svc", registry.Passing, "")
		pass(time.Minute)
		wantCheck(t, a, "no servers for long", "svc", registry.Critical, "no servers")
		up.setNode("n2", records(registry.Passing, registry.Passing), nil)
		pass(heldEvery * 2)
		wantCheck(t, a, "servers again", "svc", registry.Passing, "")
	})
}

// TestAliasOnAStore follows a node in the catalog of this process.
func TestAliasOnAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, index := storetest.NewMemory(t), catalog.New()
		ctx := t.Context()
		go index.Follow(ctx, store) //nolint:errcheck // it ends with the test
		a := newAgent(t, config(), StoreUpstream(store, index), nil)
		register(t, a, offer("proxy", aliasDef("svc", "db", "n2")))
		start(t, a)
		pass(time.Second)
		wantCheck(t, a, "no node", "svc", registry.Critical, `no node "n2"`)

		other := config()
		other.Node = registry.Node{Name: "n2", ID: "3f2c8a52-9d1d-4b7e-8f7e-0d7e5a3c1b12", Address: "10.0.0.2"}
		b := newAgent(t, other, StoreUpstream(store, index), nil)
		register(t, b, offer("db", reported("c")))
		stop := start(t, b)
		pass(time.Second)
		wantCheck(t, a, "db is there", "svc", registry.Passing, "")
		report(t, b, "c", registry.Critical)
		pass(time.Second)
		wantCheck(t, a, "db fails", "svc", registry.Critical, `check "c" of service "db" is critical on node "n2"`)
		report(t, b, "c", registry.Passing)
		stop()
		pass(time.Second)
		wantCheck(t, a, "its agent has stopped", "svc", registry.Critical, "")
	})
}

// TestAliasKept is what a restart makes of an alias check, and a file of one.
func TestAliasKept(t *testing.T) {
	cfg := config()
	cfg.DataDir = t.TempDir()
	a := newAgent(t, cfg, newFake(), nil)
	register(t, a, offer("web", reported("w")))
	register(t, a, offer("proxy", aliasDef("alias", "web", "")))
	report(t, a, "w", registry.Warning)
	a.saveNow()
	a.Close()
	a = newAgent(t, cfg, newFake(), nil)
	defer a.Close()
	wantCheck(t, a, "after a restart", "alias", registry.Warning, `"w"`)
}

func TestAliasRefused(t *testing.T) {
	a := newAgent(t, config(), newFake(), nil)
	interval := aliasDef("a", "web", "")
	interval.Interval = time.Second
	for _, test := range []struct {
		def  registry.CheckDefinition
		want string
	}{
		{interval, "not for an alias check"},
		{aliasDef("a", "", ""), "service or node must be given"},
		{registry.CheckDefinition{ID: "a", Kind: "alias", Spec: map[string]any{"service": 1}}, "service must be a string"},
		{registry.CheckDefinition{ID: "a", Kind: "alias", Spec: map[string]any{"service": "s", "dc": "x"}}, `unknown field "dc"`},
	} {
		wantErr(t, fmt.Sprint(test.def.Spec), a.RegisterCheck(t.Context(), test.def), registry.ErrInvalidDefinition, test.want)
	}
}
