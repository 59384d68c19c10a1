package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// LeaseLeases lists all leases.
func (s *leaseService) LeaseLeases(ctx context.Context, _ *pb.LeaseLeasesRequest) (*pb.LeaseLeasesResponse, error) {
	ids, err := s.store.ListLeases(ctx)
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
