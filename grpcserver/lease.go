package grpcserver

import (
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// leaseService is etcd's Lease service. It shows every lease of the store, whichever door
// made it.
//
// It starts one goroutine for each stream of keepalives, which ends with its stream.
type leaseService struct {
	pb.UnimplementedLeaseServer
	*core
}

const (
	// minTTL is the least time to live that a lease is granted, in seconds: as with an etcd
	// whose elections take up to a second.
	minTTL = 2
	// maxTTL is the longest, in seconds.
	maxTTL = int64(registry.MaxTTL / time.Second)
	// endedTTL is the time to live of a lease that there is none of.
	endedTTL = -1
)

// seconds is a lease's time to live as clients are told it, never more than it is, but for
// what is below a second: 0 would say that the lease has ended. One that does
// not run out has the longest there is.
func seconds(ttl time.Duration) int64 {
	if ttl == registry.NoTTL {
		return maxTTL
	}
	return max(int64(ttl/time.Second), 1)
}
