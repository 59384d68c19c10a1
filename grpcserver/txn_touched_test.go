package grpcserver

import (
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"pgregory.net/rapid"
)

// drawTxnOps draws operations on a handful of keys, so that they often meet.
func drawTxnOps(t *rapid.T, depth int) []*pb.RequestOp {
	key := func() []byte {
		return []byte(rapid.SampledFrom([]string{"\x00", "b", "b\x00", "c", "d", "e"}).Draw(t, "key"))
	}
	kinds := []string{"put", "put", "delete", "delete", "range"}
	if depth > 0 {
		kinds = append(kinds, "txn", "txn")
	}
	var ops []*pb.RequestOp
	for range rapid.IntRange(0, 5).Draw(t, "operations") {
		op := new(pb.RequestOp)
		switch rapid.SampledFrom(kinds).Draw(t, "kind") {
		case "put":
			op.Request = &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key()}}
		case "delete":
			end := rapid.SampledFrom([]string{"", "", "\x00", "a", "b\x00", "c", "d", "z"}).Draw(t, "end")
			op.Request = &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: key(), RangeEnd: []byte(end)}}
		case "range":
			op.Request = &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key()}}
		case "txn":
			nested := &pb.TxnRequest{Success: drawTxnOps(t, depth-1), Failure: drawTxnOps(t, depth-1)}
			op.Request = &pb.RequestOp_RequestTxn{RequestTxn: nested}
		}
		ops = append(ops, op)
	}
	return ops
}

// written is everything that an operation puts and deletes, in whichever branch.
func written(op *pb.RequestOp) (puts []string, deletes []*pb.DeleteRangeRequest) {
	switch op := op.Request.(type) {
	case *pb.RequestOp_RequestPut:
		puts = append(puts, string(op.RequestPut.Key))
	case *pb.RequestOp_RequestDeleteRange:
		deletes = append(deletes, op.RequestDeleteRange)
	case *pb.RequestOp_RequestTxn:
		for _, branch := range [][]*pb.RequestOp{op.RequestTxn.Success, op.RequestTxn.Failure} {
			for _, nested := range branch {
				p, d := written(nested)
				puts, deletes = append(puts, p...), append(deletes, d...)
			}
		}
	}
	return puts, deletes
}

// clash is what touchedBy finds, as it is defined: it compares each operation with each other.
func clash(ops []*pb.RequestOp) bool {
	for i, op := range ops {
		if nested := op.GetRequestTxn(); nested != nil && (clash(nested.Success) || clash(nested.Failure)) {
			return true
		}
		puts, _ := written(op)
		for j, other := range ops {
			if i == j {
				continue
			}
			otherPuts, deletes := written(other)
			for _, key := range puts {
				for _, k := range otherPuts {
					if k == key {
						return true
					}
				}
				for _, d := range deletes {
					if r := keyRange(d.Key, d.RangeEnd); !r.Unbounded() && r.Contains(key) {
						return true
					}
				}
			}
		}
	}
	return false
}

func TestTouchedByFindsEveryClash(t *testing.T) {
	found, free := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		ops := drawTxnOps(t, 2)
		want := clash(ops)
		if _, err := touchedBy(ops); (err != nil) != want {
			t.Fatalf("touchedBy: %v; want a clash: %v", err, want)
		}
		if want {
			found++
		} else {
			free++
		}
	})
	if found == 0 || free == 0 {
		t.Errorf("%d clashes and %d without: both must occur", found, free)
	}
}
