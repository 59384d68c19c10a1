package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/storetest"
)

func wantOf(name string, instances ...registry.Instance) NodeRecords {
	w := NodeRecords{Node: registry.Node{Name: name, Address: "10.0.0.1"}, Checks: []registry.Check{{ID: registry.NodeCheckID, Status: registry.Passing}}}
	for _, i := range instances {
		w.Instances = append(w.Instances, i)
		w.Checks = append(w.Checks, registry.Check{ID: "service:" + i.ID, ServiceID: i.ID, Status: registry.Passing})
	}
	return w
}

// has checks that the store's records of a node are exactly want's, on lease.
func has(t testing.TB, s registry.Store, lease registry.LeaseID, want NodeRecords) {
	t.Helper()
	records, err := want.records()
	if err != nil {
		t.Fatal(err)
	}
	have, _, err := recordsOf(context.Background(), s, want.Node.Name)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if kv, ok := have[r.key]; !ok || string(kv.Value) != string(r.value) || kv.Lease != lease {
			t.Errorf("record %q is %x on lease %d, want %x on %d", r.key, kv.Value, kv.Lease, r.value, lease)
		}
		delete(have, r.key)
	}
	for key := range have {
		t.Errorf("there is a record %q too many", key)
	}
}

func TestAdvertise(t *testing.T) {
	s := storetest.NewMemory(t)
	lease, err := s.GrantLease(t.Context(), 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	revision := func() int64 {
		r, err := s.Range(t.Context(), registry.RangeRequest{Space: registry.SpaceCatalog, KeyRange: registry.All(), CountOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		return r.Revision
	}
	other := wantOf("Web-1-b", registry.Instance{ID: "1", Service: "web"})
	if err := Advertise(t.Context(), s, 0, other); err != nil {
		t.Fatal(err)
	}
	one := registry.Instance{ID: "1", Service: "web", Port: 80}
	two := registry.Instance{ID: "2", Service: "web", Port: 81}
	for name, step := range []struct {
		want   NodeRecords
		lease  registry.LeaseID
		writes int64
	}{
		{wantOf("Web-1", one, two), lease.ID, 1},
		{wantOf("Web-1", one, two), lease.ID, 0},
		{wantOf("Web-1", two), lease.ID, 1},
		{wantOf("Web-1", two), 0, 1},
		{wantOf("web-1", two), 0, 1}, // the same node, spelled otherwise
		{wantOf("Web-1", one), lease.ID, 1},
		{wantOf("Web-1"), lease.ID, 1},
		{wantOf("Web-1"), lease.ID, 0},
	} {
		before := revision()
		if err := Advertise(t.Context(), s, step.lease, step.want); err != nil {
			t.Fatalf("step %d: %v", name, err)
		}
		has(t, s, step.lease, step.want)
		if got := revision() - before; got != step.writes {
			t.Errorf("step %d moved the revision by %d, want %d", name, got, step.writes)
		}
	}
	has(t, s, 0, other)

	if err := Withdraw(t.Context(), s, registry.Node{Name: "WEB-1"}); err != nil {
		t.Fatal(err)
	}
	if have, _, err := recordsOf(t.Context(), s, "web-1"); err != nil || len(have) != 0 {
		t.Errorf("after Withdraw: %v, %v", have, err)
	}
	has(t, s, 0, other)
	if err := Withdraw(t.Context(), s, registry.Node{}); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("Withdraw of no name: %v", err)
	}
}

func TestAdvertiseNeedsItsLease(t *testing.T) {
	s := storetest.NewMemory(t)
	if err := Advertise(t.Context(), s, 12345, wantOf("n")); !errors.Is(err, registry.ErrLeaseNotFound) {
		t.Errorf("got %v, want ErrLeaseNotFound", err)
	}
}

func TestAdvertiseRefusesContradictions(t *testing.T) {
	s := storetest.NewMemory(t)
	i := registry.Instance{ID: "1", Service: "web"}
	for name, want := range map[string]NodeRecords{
		"no name":              wantOf(""),
		"no service":           wantOf("n", registry.Instance{ID: "1"}),
		"an instance twice":    {Node: registry.Node{Name: "n"}, Instances: []registry.Instance{i, i}},
		"a check twice":        {Node: registry.Node{Name: "n"}, Checks: []registry.Check{{ID: "c"}, {ID: "c"}}},
		"a check of no id":     {Node: registry.Node{Name: "n"}, Checks: []registry.Check{{}}},
		"another's instance":   wantOf("n", registry.Instance{Node: "m", ID: "1", Service: "web"}),
		"another's check":      {Node: registry.Node{Name: "n"}, Checks: []registry.Check{{Node: "m", ID: "c"}}},
		"a check of a nothing": {Node: registry.Node{Name: "n"}, Checks: []registry.Check{{ID: "c", ServiceID: "1"}}},
	} {
		if err := Advertise(t.Context(), s, 0, want); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// More than fits in one request arrives and goes all the same, and at no revision
// is there an instance without its check.
func TestAdvertiseInParts(t *testing.T) {
	s := storetest.NewMemory(t)
	var many []registry.Instance
	for i := range 3000 {
		many = append(many, registry.Instance{ID: fmt.Sprintf("%0100d", i), Service: "web", Meta: map[string]string{"k": strings.Repeat("v", 300)}})
	}
	for _, want := range []NodeRecords{wantOf("n", many...), wantOf("n")} {
		if err := Advertise(t.Context(), s, 0, want); err != nil {
			t.Fatal(err)
		}
		has(t, s, 0, want)
	}
	w, err := s.Watch(t.Context(), registry.WatchRequest{Space: registry.SpaceCatalog, KeyRange: registry.All(), StartRevision: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	x, n := emptyIndex(), int64(0)
	for x.Revision() < w.StartedAt() {
		commits, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, commit := range commits {
			b := x.edit(ignoreMalformed)
			b.commit(commit.Revision, commit.Events)
			x = b.finish()
			n++
			if v := x.Service("web"); v != nil {
				for _, i := range v.Instances() {
					if len(i.Checks) != 1 {
						t.Fatalf("revision %d: instance %s has %d checks", x.Revision(), i.ID, len(i.Checks))
					}
				}
			}
		}
	}
	if n < 4 {
		t.Errorf("all was written in %d commits, want several for each", n)
	}
}

// meddler changes something right before a transaction that writes.
type meddler struct {
	registry.Store
	meddle func(attempt int) []registry.Op
	n      int
}

func (m *meddler) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	if t.Writes() {
		if ops := m.meddle(m.n); ops != nil {
			if _, err := m.Store.Txn(ctx, registry.Txn{Then: ops}); err != nil {
				return registry.TxnResult{}, err
			}
		}
		m.n++
	}
	return m.Store.Txn(ctx, t)
}

// Whatever another writer does between the look and the write, the result is what
// was wanted.
func TestAdvertiseMeetsOthers(t *testing.T) {
	one := registry.Instance{ID: "1", Service: "web"}
	two := registry.Instance{ID: "2", Service: "web"}
	for name, ops := range map[string][]registry.Op{
		"adds an instance":            {instance("n", "9", "web")},
		"adds a check":                {check("n", "1", "other", registry.Critical)},
		"changes what was as wanted":  {instance("n", "1", "stolen")},
		"deletes what was as wanted":  DeleteInstance("n", "1"),
		"deletes the node":            DeleteNode("n"),
		"writes what is to be":        {PutInstance(registry.Instance{Node: "n", ID: "2", Service: "web"}, 0)},
		"concerns another node":       {node("m")},
		"takes the lease off a check": {PutCheck(registry.Check{Node: "n", ID: registry.NodeCheckID, Status: registry.Passing}, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.NewMemory(t)
			lease, err := s.GrantLease(t.Context(), 0, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			if err := Advertise(t.Context(), s, lease.ID, wantOf("n", one)); err != nil {
				t.Fatal(err)
			}
			m := &meddler{Store: s, meddle: func(attempt int) []registry.Op {
				if attempt > 2 {
					return nil
				}
				return ops
			}}
			want := wantOf("n", one, two)
			if err := Advertise(t.Context(), m, lease.ID, want); err != nil {
				t.Fatal(err)
			}
			has(t, s, lease.ID, want)
		})
	}
}

// One who is always outrun gives up when its context does.
func TestAdvertiseEndsWithItsContext(t *testing.T) {
	s := storetest.NewMemory(t)
	ctx, cancel := context.WithCancel(t.Context())
	m := &meddler{Store: s, meddle: func(attempt int) []registry.Op {
		if attempt == 50 {
			cancel()
		}
		return []registry.Op{PutNode(registry.Node{Name: "n", Address: fmt.Sprintf("10.0.0.%d", attempt)}, 0)}
	}}
	if err := Advertise(ctx, m, 0, wantOf("n")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Two who advertise the same node at once leave one's records, not a mixture.
func TestAdvertiseAtOnce(t *testing.T) {
	s := storetest.NewMemory(t)
	a := wantOf("n", registry.Instance{ID: "1", Service: "a"}, registry.Instance{ID: "2", Service: "a"})
	b := wantOf("n", registry.Instance{ID: "1", Service: "b"}, registry.Instance{ID: "3", Service: "b"})
	for range 50 {
		var wg sync.WaitGroup
		for _, want := range []NodeRecords{a, b} {
			wg.Go(func() {
				if err := Advertise(t.Context(), s, 0, want); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		have, _, err := recordsOf(t.Context(), s, "n")
		if err != nil {
			t.Fatal(err)
		}
		want := a
		if _, ok := have[InstanceKey("n", "3")]; ok {
			want = b
		}
		has(t, s, 0, want)
	}
}

func TestAdvertiseAnything(t *testing.T) {
	s := storetest.NewMemory(t)
	rapid.Check(t, func(rt *rapid.T) {
		var instances []registry.Instance
		for _, id := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"1", "2", "3"}), rapid.ID).Draw(rt, "ids") {
			instances = append(instances, registry.Instance{ID: id, Service: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "service"), Port: rapid.IntRange(0, 2).Draw(rt, "port")})
		}
		want := wantOf(rapid.SampledFrom([]string{"n", "N"}).Draw(rt, "node"), instances...)
		if err := Advertise(context.Background(), s, 0, want); err != nil {
			rt.Fatal(err)
		}
		has(t, s, 0, want)
	})
}
