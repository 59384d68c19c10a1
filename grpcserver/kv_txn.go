package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// Txn runs a transaction.
func (s *kvService) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if err := checkTxn(r); err != nil {
		return nil, err
	}
	if err := s.alarms.refuseTxn(r); err != nil {
		return nil, err
	}
	t := txnRequest(r)
	if t.Writes() {
		if err := s.checkSize(r); err != nil {
			return nil, err
		}
	}
	res, err := s.store.Txn(ctx, t)
	if err != nil {
		return nil, err
	}
	s.counts.txn(res.Results)
	answer := new(struct {
		response pb.TxnResponse
		header   pb.ResponseHeader
	})
	answer.response.Header = s.header(&answer.header, res.Revisions[registry.SpaceKV])
	return fillTxn(&answer.response, &res), nil
}

// txnRequest is a transaction that was checked, as the store takes it.
func txnRequest(r *pb.TxnRequest) registry.Txn {
	t := registry.Txn{Then: txnOps(r.Success), Else: txnOps(r.Failure)}
	if len(r.Compare) > 0 {
		t.Compare = make([]registry.Compare, 0, len(r.Compare))
		for _, c := range r.Compare {
			if compare, any := txnCompare(c); any {
				t.Compare = append(t.Compare, compare)
			}
		}
	}
	return t
}

func txnOps(ops []*pb.RequestOp) []registry.Op {
	if len(ops) == 0 {
		return nil
	}
	out := make([]registry.Op, len(ops))
	for i, op := range ops {
		switch op := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			r := rangeRequest(op.RequestRange)
			out[i].Range = &r
		case *pb.RequestOp_RequestPut:
			p := putRequest(op.RequestPut)
			out[i].Put = &p
		case *pb.RequestOp_RequestDeleteRange:
			d := deleteRequest(op.RequestDeleteRange)
			out[i].Delete = &d
		case *pb.RequestOp_RequestTxn:
			t := txnRequest(op.RequestTxn)
			out[i].Txn = &t
		}
	}
	return out
}

// fillTxn makes of a transaction's result all but its header. The headers within show the
// revision as of each operation.
func fillTxn(to *pb.TxnResponse, res *registry.TxnResult) *pb.TxnResponse {
	to.Succeeded = res.Succeeded
	if len(res.Results) == 0 {
		return to
	}
	to.Responses = make([]*pb.ResponseOp, len(res.Results))
	for i := range res.Results {
		to.Responses[i] = txnAnswer(&res.Results[i])
	}
	return to
}

func txnAnswer(res *registry.OpResult) *pb.ResponseOp {
	switch {
	case res.Range != nil:
		a := &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: res.Range.Revision}}
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: fillRange(a, res.Range)}}
	case res.Put != nil:
		a := &pb.PutResponse{Header: &pb.ResponseHeader{Revision: res.Put.Revision}, PrevKv: prevKV(res.Put.Prev)}
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponsePut{ResponsePut: a}}
	case res.Delete != nil:
		a := &pb.DeleteRangeResponse{Header: &pb.ResponseHeader{Revision: res.Delete.Revision}}
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: fillDelete(a, res.Delete)}}
	default:
		a := &pb.TxnResponse{Header: &pb.ResponseHeader{}}
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseTxn{ResponseTxn: fillTxn(a, res.Txn)}}
	}
}
