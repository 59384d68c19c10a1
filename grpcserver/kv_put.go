package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"herald/registry"
)

// answerPut writes one key.
func (s *kvService) answerPut(ctx context.Context, r *pb.PutRequest) (*putAnswer, error) {
	if err := checkPut(r); err != nil {
		return nil, err
	}
	if err := s.alarms.refuseGrowth(); err != nil {
		return nil, err
	}
	if len(r.Key)+len(r.Value)+putBytes > s.requestBytes { // which costs less than to measure every put
		if err := s.checkSize(r); err != nil {
			return nil, err
		}
	}
	p := putRequest(r)
	res, err := registry.Put(ctx, s.store, p)
	if err != nil {
		return nil, err
	}
	s.counts.puts.Add(1)
	a := &putAnswer{prev: res.Prev}
	s.header(&a.header, res.Revision)
	return a, nil
}

// checkPut says what is wrong with a put in itself.
func checkPut(r *pb.PutRequest) error {
	switch {
	case len(r.Key) == 0:
		return rpctypes.ErrGRPCEmptyKey
	case r.IgnoreValue && len(r.Value) != 0:
		return rpctypes.ErrGRPCValueProvided
	case r.IgnoreLease && r.Lease != 0:
		return rpctypes.ErrGRPCLeaseProvided
	}
	return nil
}

// putRequest is a put that was checked, as the store takes it. The flags that the HTTP API
// knows on a key start anew, as with that API's own put.
func putRequest(r *pb.PutRequest) registry.PutRequest {
	return registry.PutRequest{
		Key:       text(r.Key),
		Value:     r.Value,
		Lease:     registry.LeaseID(r.Lease),
		KeepValue: r.IgnoreValue,
		KeepLease: r.IgnoreLease,
		PrevKV:    r.PrevKv,
	}
}
