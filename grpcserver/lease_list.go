package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// foreignSpaces are those of the catalog and of HTTP sessions. Every server's own agent has a lease
// there, which an etcd that nobody used would not.
var foreignSpaces = []registry.Space{registry.SpaceCatalog, registry.SpaceSession}

// LeaseLeases lists the leases, but for those that agents and HTTP sessions hold.
func (s *leaseService) LeaseLeases(ctx context.Context, _ *pb.LeaseLeasesRequest) (*pb.LeaseLeasesResponse, error) {
	ids, err := s.store.ListLeases(ctx, foreignSpaces...)
	if err != nil {
		return nil, err
	}
	made := make([]pb.LeaseStatus, len(ids))
	a := &pb.LeaseLeasesResponse{Header: s.headerNow(), Leases: make([]*pb.LeaseStatus, len(ids))}
	for i, id := range ids {
		made[i].ID = int64(id)
		a.Leases[i] = &made[i]
	}
	return a, nil
}
