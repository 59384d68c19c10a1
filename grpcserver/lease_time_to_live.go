package grpcserver

import (
	"context"
	"errors"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// LeaseTimeToLive describes a lease. That there is none is an answer, not an error.
func (s *leaseService) LeaseTimeToLive(ctx context.Context, r *pb.LeaseTimeToLiveRequest) (*pb.LeaseTimeToLiveResponse, error) {
	l, err := s.store.Lease(ctx, registry.LeaseID(r.ID), r.Keys)
	if errors.Is(err, registry.ErrLeaseNotFound) {
		return &pb.LeaseTimeToLiveResponse{Header: s.headerNow(), ID: r.ID, TTL: endedTTL}, nil
	}
	if err != nil {
		return nil, err
	}
	a := &pb.LeaseTimeToLiveResponse{
		Header: s.headerNow(), ID: r.ID, TTL: int64(l.Remaining / time.Second), GrantedTTL: seconds(l.TTL),
	}
	if l.TTL == registry.NoTTL {
		a.TTL = maxTTL
	}
	for _, k := range l.Keys {
		if k.Space == registry.SpaceKV {
			a.Keys = append(a.Keys, []byte(k.Key))
		}
	}
	return a, nil
}
