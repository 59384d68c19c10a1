package registry

import (
	"context"
	"time"
)

// LeaseID names a lease. 0 is no lease; negative ids are allowed.
type LeaseID int64

// The bounds of a lease's time to live.
const (
	// MaxTTL is the longest time to live: 9,000,000,000 s, etcd's bound.
	MaxTTL = 9_000_000_000 * time.Second
	// NoTTL makes a lease that ends only when it is revoked.
	NoTTL time.Duration = 0
)

// Lease is a lease as its holder sees it.
type Lease struct {
	ID LeaseID
	// TTL is the time to live that was granted; NoTTL if it never runs out.
	TTL time.Duration
	// Remaining is how long the lease lives from now without a keepalive, by
	// the leader's lease clock. Late is possible, early is not.
	Remaining time.Duration
	// Keys are what is attached to the lease, if that was asked for, in order
	// of space and key.
	Keys []LeasedKey
}

// LeasedKey is a key attached to a lease, or a lock that it holds.
type LeasedKey struct {
	Space Space
	Key   string
}

// Leases is the part of a Store that concerns leases. Deadlines are kept by
// the leader alone and are not replicated: keepalives cost no log entry.
type Leases interface {
	// GrantLease makes a lease. With id 0 the store picks one. It fails with
	// ErrLeaseExists if id is taken and ErrInvalidTTL if ttl is negative or
	// above MaxTTL. A ttl of NoTTL never runs out.
	GrantLease(ctx context.Context, id LeaseID, ttl time.Duration) (Lease, error)
	// KeepAlive starts the lease's time to live anew; of one that waits for the end of
	// another (GrantRequest.After) it does nothing, and the TTL is NoTTL. It fails with
	// ErrLeaseNotFound if the lease has ended: once it answers without error,
	// the lease lives for at least another TTL.
	KeepAlive(ctx context.Context, id LeaseID) (Lease, error)
	// RevokeLease ends leases now, each with its keys in one revision of each
	// space, and returns where each space stood after that. If any of them is
	// unknown it ends the others and returns the revisions and ErrLeaseNotFound, which
	// names the unknown. With any other error, and with no ids, there are no revisions.
	RevokeLease(ctx context.Context, ids ...LeaseID) (Revisions, error)
	// Lease describes a lease, with its keys if asked. ErrLeaseNotFound.
	Lease(ctx context.Context, id LeaseID, keys bool) (Lease, error)
	// ListLeases returns the ids of all leases, ascending, but for those that a key
	// of one of the spaces is attached to, or whose lock they hold, and those that wait for
	// the end of such a lease. What it costs is by the number of leases, not by that of keys.
	ListLeases(ctx context.Context, without ...Space) ([]LeaseID, error)
}
