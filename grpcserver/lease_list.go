package grpcserver

import (
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// foreignPage is how many keys of another space are looked at at a time.
const foreignPage = 1000

// LeaseLeases lists the leases, but for those that agents and HTTP sessions hold.
func (s *leaseService) LeaseLeases(ctx context.Context, _ *pb.LeaseLeasesRequest) (*pb.LeaseLeasesResponse, error) {
	ids, err := s.store.ListLeases(ctx)
	if err != nil {
		return nil, err
	}
	foreign, err := s.foreignLeases(ctx)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id registry.LeaseID) bool { return foreign[id] })
	made := make([]pb.LeaseStatus, len(ids))
	a := &pb.LeaseLeasesResponse{Header: s.headerNow(), Leases: make([]*pb.LeaseStatus, len(ids))}
	for i, id := range ids {
		made[i].ID = int64(id)
		a.Leases[i] = &made[i]
	}
	return a, nil
}

// foreignLeases are the leases that something of the catalog or an HTTP session is attached to. Every
// server's own agent has one, which an etcd that nobody used would not. This server's state
// is new enough: who calls has read what the servers agreed on.
func (s *leaseService) foreignLeases(ctx context.Context) (map[registry.LeaseID]bool, error) {
	foreign := make(map[registry.LeaseID]bool)
	for _, space := range []registry.Space{registry.SpaceCatalog, registry.SpaceSession} {
		page := registry.RangeRequest{
			Space: space, KeyRange: registry.All(), Limit: foreignPage, KeysOnly: true, SkipCount: true, Consistency: registry.Stale,
		}
		for more := true; more; {
			res, err := s.store.Range(ctx, page)
			if err != nil {
				return nil, err
			}
			for i := range res.KVs {
				if id := res.KVs[i].Lease; id != 0 {
					foreign[id] = true
				}
				page.Start = res.KVs[i].Key + "\x00"
			}
			more = res.More
		}
	}
	return foreign, nil
}
