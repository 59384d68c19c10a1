package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"herald/registry"
)

// answerRange reads keys.
func (s *kvService) answerRange(ctx context.Context, r *pb.RangeRequest) (*rangeAnswer, error) {
	if err := checkRange(r); err != nil {
		return nil, err
	}
	res, err := s.store.Range(ctx, rangeRequest(r))
	if err != nil {
		return nil, err
	}
	s.counts.ranges.Add(1)
	a := &rangeAnswer{result: res}
	s.header(&a.header, res.Revision)
	return a, nil
}

// checkRange says what is wrong with a read in itself.
func checkRange(r *pb.RangeRequest) error {
	if len(r.Key) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	if _, ok := pb.RangeRequest_SortOrder_name[int32(r.SortOrder)]; !ok {
		return rpctypes.ErrGRPCInvalidSortOption
	}
	if _, ok := pb.RangeRequest_SortTarget_name[int32(r.SortTarget)]; !ok {
		return rpctypes.ErrGRPCInvalidSortOption
	}
	return nil
}

var sortTargets = [...]registry.SortTarget{
	pb.RangeRequest_KEY:     registry.SortByKey,
	pb.RangeRequest_VERSION: registry.SortByVersion,
	pb.RangeRequest_CREATE:  registry.SortByCreate,
	pb.RangeRequest_MOD:     registry.SortByMod,
	pb.RangeRequest_VALUE:   registry.SortByValue,
}

var sortOrders = [...]registry.SortOrder{
	pb.RangeRequest_NONE:    registry.SortNone,
	pb.RangeRequest_ASCEND:  registry.SortAscend,
	pb.RangeRequest_DESCEND: registry.SortDescend,
}

// rangeRequest is a read that was checked, as the store takes it.
func rangeRequest(r *pb.RangeRequest) registry.RangeRequest {
	out := registry.RangeRequest{
		KeyRange:          keyRange(r.Key, r.RangeEnd),
		Revision:          r.Revision,
		Limit:             r.Limit,
		CountOnly:         r.CountOnly,
		KeysOnly:          r.KeysOnly,
		SortTarget:        sortTargets[r.SortTarget],
		SortOrder:         sortOrders[r.SortOrder],
		MinModRevision:    r.MinModRevision,
		MaxModRevision:    r.MaxModRevision,
		MinCreateRevision: r.MinCreateRevision,
		MaxCreateRevision: r.MaxCreateRevision,
	}
	if r.Serializable {
		out.Consistency = registry.Stale
	}
	return out
}

// fillRange makes of a read's result all but its header.
func fillRange(to *pb.RangeResponse, res *registry.RangeResult) *pb.RangeResponse {
	to.Kvs, to.Count, to.More = keyValues(res.KVs), res.Count, res.More
	return to
}
