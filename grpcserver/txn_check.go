package grpcserver

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// maxTxnOps bounds each of a transaction's three lists. What one uses of it is not there
// for those nested in it.
const maxTxnOps = 128

// checkTxn says what is wrong with a transaction in itself. Branches that will not be
// taken are looked at like the others.
func checkTxn(r *pb.TxnRequest) error {
	if err := checkTxnOps(r, maxTxnOps); err != nil {
		return err
	}
	if _, err := touchedBy(r.Success); err != nil {
		return err
	}
	_, err := touchedBy(r.Failure)
	return err
}

func checkTxnOps(r *pb.TxnRequest, room int) error {
	used := max(len(r.Compare), len(r.Success), len(r.Failure))
	if used > room {
		return rpctypes.ErrGRPCTooManyOps
	}
	for _, c := range r.Compare {
		if len(c.GetKey()) == 0 {
			return rpctypes.ErrGRPCEmptyKey
		}
	}
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range ops {
			if err := checkOp(op, room-used); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkOp(op *pb.RequestOp, room int) error {
	switch op := op.GetRequest().(type) {
	case *pb.RequestOp_RequestRange:
		return checkRange(op.RequestRange)
	case *pb.RequestOp_RequestPut:
		return checkPut(op.RequestPut)
	case *pb.RequestOp_RequestDeleteRange:
		return checkDelete(op.RequestDeleteRange)
	case *pb.RequestOp_RequestTxn:
		return checkTxnOps(op.RequestTxn, room)
	}
	return rpctypes.ErrGRPCKeyNotFound // an operation that is none
}
