package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"herald/registry"
	"herald/registry/catalog"
)

// fakeUpstream behaves as servers do: its leases run out by the clock and take
// their records along, and it knows who wrote what. Faults are the test's.
type fakeUpstream struct {
	mu       sync.Mutex
	nextID   registry.LeaseID
	leases   map[registry.LeaseID]*fakeLease
	records  map[string]fakeRecord // by a readable key
	calls    []call
	advFault func(ctx context.Context) error // runs before an advertise; nil is none
	fault    func(ctx context.Context) error // the same for calls about leases
	nodes    nodesFake
}

type fakeLease struct {
	ttl   time.Duration
	until time.Time
}

type fakeRecord struct {
	value string
	lease registry.LeaseID
}

// call is one call, with when it came and what became of it.
type call struct {
	at     time.Time
	name   string
	lease  registry.LeaseID
	err    error
	caller registry.Caller
	wrote  int
}

func newFake() *fakeUpstream {
	return &fakeUpstream{nextID: 100, leases: map[registry.LeaseID]*fakeLease{}, records: map[string]fakeRecord{}}
}

func (f *fakeUpstream) setFault(fault func(ctx context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.advFault = fault, fault
}

func (f *fakeUpstream) setAdvFault(fault func(ctx context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.advFault = fault
}

// expireLocked ends the leases whose time is up.
func (f *fakeUpstream) expireLocked() {
	for id, l := range f.leases {
		if !time.Now().Before(l.until) {
			f.endLocked(id)
		}
	}
}

func (f *fakeUpstream) endLocked(id registry.LeaseID) {
	delete(f.leases, id)
	maps.DeleteFunc(f.records, func(_ string, r fakeRecord) bool { return r.lease == id })
}

// end ends a lease behind the agent's back.
func (f *fakeUpstream) end(id registry.LeaseID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endLocked(id)
}

func (f *fakeUpstream) do(ctx context.Context, name string, fault func(context.Context) error, id registry.LeaseID, work func() (registry.LeaseID, int, error)) error {
	c := call{at: time.Now(), name: name, lease: id, caller: registry.CallerFrom(ctx)}
	if _, ok := ctx.Deadline(); !ok {
		panic(name + " was called without a deadline")
	}
	if fault != nil {
		c.err = fault(ctx)
	}
	if c.err == nil {
		c.err = ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expireLocked()
	if c.err == nil {
		c.lease, c.wrote, c.err = work()
	}
	f.calls = append(f.calls, c)
	return c.err
}

func (f *fakeUpstream) leaseFault() func(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault
}

func (f *fakeUpstream) GrantLease(ctx context.Context, ttl time.Duration) (l registry.Lease, err error) {
	err = f.do(ctx, "grant", f.leaseFault(), 0, func() (registry.LeaseID, int, error) {
		f.nextID++
		f.leases[f.nextID] = &fakeLease{ttl: ttl, until: time.Now().Add(ttl)}
		l = registry.Lease{ID: f.nextID, TTL: ttl, Remaining: ttl}
		return f.nextID, 0, nil
	})
	return l, err
}

func (f *fakeUpstream) KeepAlive(ctx context.Context, id registry.LeaseID) (l registry.Lease, err error) {
	err = f.do(ctx, "keepalive", f.leaseFault(), id, func() (registry.LeaseID, int, error) {
		have := f.leases[id]
		if have == nil {
			return id, 0, fmt.Errorf("lease %d: %w", id, registry.ErrLeaseNotFound)
		}
		have.until = time.Now().Add(have.ttl)
		l = registry.Lease{ID: id, TTL: have.ttl, Remaining: have.ttl}
		return id, 0, nil
	})
	return l, err
}

func (f *fakeUpstream) RevokeLease(ctx context.Context, id registry.LeaseID) error {
	return f.do(ctx, "revoke", f.leaseFault(), id, func() (registry.LeaseID, int, error) {
		if f.leases[id] == nil {
			return id, 0, registry.ErrLeaseNotFound
		}
		f.endLocked(id)
		return id, 0, nil
	})
}

func (f *fakeUpstream) Lease(ctx context.Context, id registry.LeaseID) (l registry.Lease, err error) {
	err = f.do(ctx, "lease", f.leaseFault(), id, func() (registry.LeaseID, int, error) {
		have := f.leases[id]
		if have == nil {
			return id, 0, registry.ErrLeaseNotFound
		}
		l = registry.Lease{ID: id, TTL: have.ttl, Remaining: time.Until(have.until)}
		return id, 0, nil
	})
	return l, err
}

func (f *fakeUpstream) Advertise(ctx context.Context, lease registry.LeaseID, want catalog.NodeRecords) error {
	f.mu.Lock()
	fault := f.advFault
	f.mu.Unlock()
	return f.do(ctx, "advertise", fault, lease, func() (registry.LeaseID, int, error) {
		if f.leases[lease] == nil {
			return lease, 0, fmt.Errorf("lease %d: %w", lease, registry.ErrLeaseNotFound)
		}
		next := map[string]fakeRecord{"node " + want.Node.Name: {string(catalog.EncodeNode(want.Node)), lease}}
		for _, i := range want.Instances {
			next["service "+i.ID] = fakeRecord{string(catalog.EncodeInstance(i)), lease}
		}
		for _, c := range want.Checks {
			next["check "+c.ID+" "+string(c.Status)] = fakeRecord{string(catalog.EncodeCheck(c)), lease}
		}
		wrote := 0
		for k, r := range next {
			if f.records[k] != r {
				wrote++
			}
		}
		for k := range f.records {
			if _, ok := next[k]; !ok {
				wrote++
			}
		}
		f.records = next
		return lease, wrote, nil
	})
}

// nodesFake are other nodes of the catalog. What NodeAfter returns is the test's.
type nodesFake struct {
	records map[string]catalog.NodeRecords
	index   uint64
	changed chan struct{} // closed when index rises; nil before anybody waits
	fault   error
}

// setNode makes a node's records what the catalog has of it.
func (f *fakeUpstream) setNode(name string, records catalog.NodeRecords, fault error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := &f.nodes
	if n.records == nil {
		n.records = map[string]catalog.NodeRecords{}
	}
	n.records[name], n.fault = records, fault
	n.index++
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

func (f *fakeUpstream) NodeAfter(ctx context.Context, node string, after uint64, wait time.Duration) (records catalog.NodeRecords, index uint64, err error) {
	if _, ok := ctx.Deadline(); !ok {
		panic("NodeAfter was called without a deadline")
	}
	f.mu.Lock()
	if f.nodes.index+1 <= after {
		if f.nodes.changed == nil {
			f.nodes.changed = make(chan struct{})
		}
		changed := f.nodes.changed
		f.mu.Unlock()
		over := time.NewTimer(wait)
		defer over.Stop()
		select {
		case <-changed:
		case <-over.C:
		case <-ctx.Done():
			return records, 0, ctx.Err()
		}
		f.mu.Lock()
	}
	defer f.mu.Unlock()
	f.calls = append(f.calls, call{at: time.Now(), name: "node", err: f.nodes.fault, caller: registry.CallerFrom(ctx)})
	return f.nodes.records[node], f.nodes.index + 1, f.nodes.fault
}

// has lists what the catalog holds now, without the node's own records.
func (f *fakeUpstream) has() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expireLocked()
	var all []string
	for _, k := range slices.Sorted(maps.Keys(f.records)) {
		if k != "node "+node.Name && !strings.HasPrefix(k, "check "+registry.NodeCheckID+" ") {
			all = append(all, k)
		}
	}
	return strings.Join(all, ", ")
}

// count is how many records there are, the node's own included.
func (f *fakeUpstream) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expireLocked()
	return len(f.records)
}

func (f *fakeUpstream) check(id string) (registry.Check, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expireLocked()
	for k, r := range f.records {
		if strings.HasPrefix(k, "check "+id+" ") {
			c, err := catalog.DecodeCheck([]byte(r.value))
			return c, err == nil
		}
	}
	return registry.Check{}, false
}

// take returns the calls of some names since the last take.
func (f *fakeUpstream) take(names ...string) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []call
	for _, c := range f.calls {
		if slices.Contains(names, c.name) {
			out = append(out, c)
		}
	}
	f.calls = nil
	return out
}

func (f *fakeUpstream) leaseIDs() []registry.LeaseID {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expireLocked()
	return slices.Sorted(maps.Keys(f.leases))
}
