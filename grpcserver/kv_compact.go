package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// Compact forgets what was before a revision. Its space is given back bit by bit; with physical
// the answer waits until this server has done so.
func (s *kvService) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	if err := s.alarms.refuseChange(); err != nil {
		return nil, err
	}
	if err := s.store.Compact(ctx, registry.SpaceKV, r.Revision); err != nil {
		return nil, err
	}
	if sweeper, ok := s.store.(registry.Sweeper); ok && r.Physical {
		if err := sweeper.AwaitSwept(ctx, registry.SpaceKV, r.Revision); err != nil {
			return nil, err
		}
	}
	return &pb.CompactionResponse{Header: s.headerNow()}, nil
}
