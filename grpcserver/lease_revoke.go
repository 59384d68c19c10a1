package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// LeaseRevoke ends a lease, with its keys in one revision.
func (s *leaseService) LeaseRevoke(ctx context.Context, r *pb.LeaseRevokeRequest) (*pb.LeaseRevokeResponse, error) {
	if err := s.alarms.refuseChange(); err != nil {
		return nil, err
	}
	after, err := s.store.RevokeLease(ctx, registry.LeaseID(r.ID))
	if err != nil {
		return nil, err
	}
	return &pb.LeaseRevokeResponse{Header: s.headerAt(after[registry.SpaceKV])}, nil
}
