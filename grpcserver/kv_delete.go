package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"herald/registry"
)

// DeleteRange deletes keys. The revision moves only if there were any.
func (s *kvService) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	if err := checkDelete(r); err != nil {
		return nil, err
	}
	if err := s.alarms.refuseChange(); err != nil {
		return nil, err
	}
	if err := s.checkSize(r); err != nil {
		return nil, err
	}
	res, err := registry.Delete(ctx, s.store, deleteRequest(r))
	if err != nil {
		return nil, err
	}
	s.counts.deletes.Add(1)
	return fillDelete(&pb.DeleteRangeResponse{Header: s.header(new(pb.ResponseHeader), res.Revision)}, &res), nil
}

func checkDelete(r *pb.DeleteRangeRequest) error {
	if len(r.Key) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	return nil
}

func deleteRequest(r *pb.DeleteRangeRequest) registry.DeleteRequest {
	return registry.DeleteRequest{KeyRange: keyRange(r.Key, r.RangeEnd), PrevKV: r.PrevKv}
}

// fillDelete makes of a deletion's result all but its header.
func fillDelete(to *pb.DeleteRangeResponse, res *registry.DeleteResult) *pb.DeleteRangeResponse {
	to.Deleted, to.PrevKvs = res.Deleted, keyValues(res.Prev)
	return to
}
