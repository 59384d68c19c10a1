package agent

import (
	"context"
	"math"
	"time"

	"herald/registry"
	"herald/registry/catalog"
)

// Upstream is where an agent advertises. Calls come from the goroutines for
// the lease, for the records and for other leases, and from registrations, each with a deadline in its context and who
// asks (registry.CallerFrom). Errors are those of registry.Store;
// ErrLeaseNotFound makes the agent get a new lease, any other is tried again:
// ErrNodeTaken too, since the one that has the name may be a crashed predecessor.
type Upstream interface {
	GrantLease(ctx context.Context, ttl time.Duration) (registry.Lease, error)
	KeepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error)
	RevokeLease(ctx context.Context, id registry.LeaseID) error
	// Lease describes a lease; its keys do not matter.
	Lease(ctx context.Context, id registry.LeaseID) (registry.Lease, error)
	// Advertise brings the catalog's records of the node in line with want: it
	// writes what differs, attached to lease, and deletes what want lacks. While the
	// node belongs to another node ID it writes nothing: ErrNodeTaken.
	Advertise(ctx context.Context, lease registry.LeaseID, want catalog.NodeRecords) error
	// NodeAfter returns what the catalog has of a node, and the index of that: as soon as it is above after, or as
	// it is once wait has passed. Of a node that is not there the record has no name.
	NodeAfter(ctx context.Context, node string, after uint64, wait time.Duration) (catalog.NodeRecords, uint64, error)
}

// changesUpstream is an Upstream that can be told of changes alone, which costs what they are
// and not what the node has. Errors are Advertise's, and registry.ErrNotAdvertised where that is to be called.
type changesUpstream interface {
	AdvertiseChanges(ctx context.Context, lease registry.LeaseID, changes catalog.NodeChanges) error
}

// StoreUpstream advertises in a store of this process, of which c is the catalog.
func StoreUpstream(s registry.Store, c *catalog.Catalog) Upstream { return storeUpstream{s, c} }

type storeUpstream struct {
	store   registry.Store
	catalog *catalog.Catalog
}

func (u storeUpstream) GrantLease(ctx context.Context, ttl time.Duration) (registry.Lease, error) {
	return u.store.GrantLease(ctx, 0, ttl)
}

func (u storeUpstream) KeepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	return u.store.KeepAlive(ctx, id)
}

func (u storeUpstream) RevokeLease(ctx context.Context, id registry.LeaseID) error {
	_, err := u.store.RevokeLease(ctx, id)
	return err
}

func (u storeUpstream) Lease(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	return u.store.Lease(ctx, id, false)
}

func (u storeUpstream) Advertise(ctx context.Context, lease registry.LeaseID, want catalog.NodeRecords) error {
	return catalog.Advertise(ctx, u.store, lease, want)
}

func (u storeUpstream) AdvertiseChanges(ctx context.Context, lease registry.LeaseID, changes catalog.NodeChanges) error {
	return catalog.AdvertiseChanges(ctx, u.store, lease, changes)
}

func (u storeUpstream) NodeAfter(ctx context.Context, node string, after uint64, wait time.Duration) (catalog.NodeRecords, uint64, error) {
	if _, err := u.catalog.WaitRevision(ctx, 1); err != nil { // before which nothing is known to be absent
		return catalog.NodeRecords{}, 0, err
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	topic := catalog.NodeTopic(node)
	x, err := u.catalog.Wait(waiting, topic, int64(min(after, math.MaxInt64)))
	if err != nil && ctx.Err() != nil {
		return catalog.NodeRecords{}, 0, err
	}
	index := uint64(x.TopicRevision(topic))
	n := x.Node(node)
	if n == nil {
		return catalog.NodeRecords{}, index, nil
	}
	records := catalog.NodeRecords{Node: n.Node}
	add := func(checks []*catalog.Check) {
		for _, c := range checks {
			records.Checks = append(records.Checks, c.Check)
		}
	}
	add(n.Checks)
	for _, i := range n.Instances() {
		records.Instances = append(records.Instances, i.Instance)
		add(i.Checks)
	}
	return records, index, nil
}
