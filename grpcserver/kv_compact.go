package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// Compact forgets what was before a revision. Its space is given back bit by bit as later
// entries are applied; an answer does not wait for that, also not with physical.
func (s *kvService) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	if err := s.alarms.refuseChange(); err != nil {
		return nil, err
	}
	if err := s.store.Compact(ctx, registry.SpaceKV, r.Revision); err != nil {
		return nil, err
	}
	return &pb.CompactionResponse{Header: s.headerNow()}, nil
}
