package agent

import (
	"context"
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
}

// changesUpstream is an Upstream that can be told of changes alone, which costs what they are
// and not what the node has. Errors are Advertise's, and registry.ErrNotAdvertised where that is to be called.
type changesUpstream interface {
	AdvertiseChanges(ctx context.Context, lease registry.LeaseID, changes catalog.NodeChanges) error
}

// StoreUpstream advertises in a store of this process.
func StoreUpstream(s registry.Store) Upstream { return storeUpstream{s} }

type storeUpstream struct{ store registry.Store }

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
