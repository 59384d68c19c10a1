package grpcserver

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"herald/registry"
)

// LeaseGrant makes a lease. A time to live that is too short is raised.
func (s *leaseService) LeaseGrant(ctx context.Context, r *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	if err := s.alarms.refuseGrowth(); err != nil {
		return nil, err
	}
	if r.TTL > maxTTL { // as a duration it could be anything
		return nil, rpctypes.ErrGRPCLeaseTTLTooLarge
	}
	ttl := time.Duration(max(r.TTL, minTTL)) * time.Second
	l, err := s.store.GrantLease(ctx, registry.LeaseID(r.ID), ttl)
	if err != nil {
		return nil, err
	}
	return &pb.LeaseGrantResponse{Header: s.headerNow(), ID: int64(l.ID), TTL: seconds(l.TTL)}, nil
}
