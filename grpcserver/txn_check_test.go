package grpcserver

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"herald/registry/storetest"
)

func putOf(key string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(key)}}}
}

func nested(r *pb.TxnRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: r}}
}

// putsOf are n puts of different keys.
func putsOf(prefix string, n int) []*pb.RequestOp {
	var ops []*pb.RequestOp
	for i := range n {
		ops = append(ops, putOf(fmt.Sprintf("%s%d", prefix, i)))
	}
	return ops
}

// nestedTxn is one put in so many transactions.
func nestedTxn(depth int) *pb.TxnRequest {
	r := &pb.TxnRequest{Success: []*pb.RequestOp{putOf("k")}}
	for range depth - 1 {
		r = &pb.TxnRequest{Success: []*pb.RequestOp{nested(r)}}
	}
	return r
}

func TestTxnLimits(t *testing.T) {
	h := open(t)
	kv := pb.NewKVClient(h.conn)
	var compares []*pb.Compare
	for range 129 {
		compares = append(compares, &pb.Compare{Key: []byte("x"), Target: pb.Compare_CREATE})
	}
	const tooMany = "etcdserver: too many operations in txn request"
	for _, c := range []struct {
		what string
		r    *pb.TxnRequest
		text string
	}{
		{"128 operations", &pb.TxnRequest{Success: putsOf("a", 128), Failure: putsOf("b", 128), Compare: compares[:128]}, ""},
		{"129 in success", &pb.TxnRequest{Success: putsOf("a", 129)}, tooMany},
		{"129 in failure", &pb.TxnRequest{Failure: putsOf("a", 129)}, tooMany},
		{"129 compares", &pb.TxnRequest{Compare: compares}, tooMany},
		// What is nested has what the outer one leaves, each for itself.
		{"two of 100 in one", &pb.TxnRequest{Success: []*pb.RequestOp{nested(&pb.TxnRequest{Success: putsOf("c", 100)}), nested(&pb.TxnRequest{Success: putsOf("d", 100)})}}, ""},
		{"one of 127 in one", &pb.TxnRequest{Success: []*pb.RequestOp{nested(&pb.TxnRequest{Success: putsOf("e", 127)})}}, ""},
		{"one of 128 in one", &pb.TxnRequest{Success: []*pb.RequestOp{nested(&pb.TxnRequest{Success: putsOf("f", 128)})}}, tooMany},
		{"one of 28 beside 100 compares", &pb.TxnRequest{Compare: compares[:100], Success: []*pb.RequestOp{nested(&pb.TxnRequest{Success: putsOf("g", 28)})}}, ""},
		{"one of 29 beside 100 compares", &pb.TxnRequest{Compare: compares[:100], Success: []*pb.RequestOp{nested(&pb.TxnRequest{Success: putsOf("h", 29)})}}, tooMany},
		{"128 deep", nestedTxn(128), ""},
		{"129 deep", nestedTxn(129), tooMany},
	} {
		_, err := kv.Txn(t.Context(), c.r)
		code := codes.OK
		if c.text != "" {
			code = codes.InvalidArgument
		}
		wantStatus(t, c.what, err, code, c.text)
	}
}

func TestRequestSizes(t *testing.T) {
	h := open(t)
	kv := pb.NewKVClient(h.conn)
	_, err := kv.Put(t.Context(), &pb.PutRequest{Key: []byte("k"), Value: bytes.Repeat([]byte{'v'}, 1500<<10)})
	wantStatus(t, "a value below the limit", err, codes.OK, "")
	for _, size := range []int{1537 << 10, 1900 << 10} {
		value := bytes.Repeat([]byte{'v'}, size)
		_, err = kv.Put(t.Context(), &pb.PutRequest{Key: []byte("k"), Value: value})
		wantStatus(t, "a value above it", err, codes.InvalidArgument, "etcdserver: request is too large")
		_, err = kv.Txn(t.Context(), &pb.TxnRequest{Success: []*pb.RequestOp{
			{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("k"), Value: value}}},
		}})
		wantStatus(t, "a transaction above it", err, codes.InvalidArgument, "etcdserver: request is too large")
	}
	_, err = kv.Put(t.Context(), &pb.PutRequest{Key: []byte("k"), Value: make([]byte, 3<<20)})
	wantStatus(t, "a message above gRPC's limit", err, codes.ResourceExhausted, "")
}

// The edge is where a server of etcd's has it, to the byte.
func TestRequestSizesAtTheEdge(t *testing.T) {
	h := open(t)
	kv := pb.NewKVClient(h.conn)
	if _, err := pb.NewLeaseClient(h.conn).LeaseGrant(t.Context(), &pb.LeaseGrantRequest{ID: 1 << 60, TTL: 600}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		most int
		send func(large []byte) error
	}{
		{"a put", 1_572_836, func(large []byte) error {
			_, err := kv.Put(t.Context(), &pb.PutRequest{Key: []byte("kkkk"), Value: large})
			return err
		}},
		{"a put with a lease", 1_572_824, func(large []byte) error {
			_, err := kv.Put(t.Context(), &pb.PutRequest{Key: []byte("kkkk"), Value: large, Lease: 1 << 60, PrevKv: true})
			return err
		}},
		{"a transaction", 1_572_818, func(large []byte) error {
			_, err := kv.Txn(t.Context(), &pb.TxnRequest{Success: []*pb.RequestOp{
				{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("kkkk"), Value: large, Lease: 1 << 60}}},
			}})
			return err
		}},
		{"a deletion", 1_572_842, func(large []byte) error {
			_, err := kv.DeleteRange(t.Context(), &pb.DeleteRangeRequest{Key: large})
			return err
		}},
	} {
		wantStatus(t, c.what, c.send(make([]byte, c.most)), codes.OK, "")
		wantStatus(t, c.what+" of a byte more", c.send(make([]byte, c.most+1)), codes.InvalidArgument, "etcdserver: request is too large")
	}
	// What only reads is not written anywhere.
	_, err := kv.Txn(t.Context(), &pb.TxnRequest{Success: []*pb.RequestOp{
		{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: make([]byte, defaultRequestBytes)}}},
	}})
	wantStatus(t, "a transaction that reads", err, codes.OK, "")
}

// FuzzTxn has any bytes be a transaction. What the checks let pass must be one that the store
// takes, or refuses for what its keys are; an error that etcd has no words for would mean that
// they let something through.
func FuzzTxn(f *testing.F) {
	for _, r := range []*pb.TxnRequest{
		{},
		nestedTxn(128),
		{Success: putsOf("a", 3), Failure: putsOf("a", 3), Compare: []*pb.Compare{{Key: []byte("a"), RangeEnd: []byte("b"), Target: 9, Result: 9}}},
		{Compare: []*pb.Compare{{Key: []byte("a"), Target: pb.Compare_VALUE, TargetUnion: &pb.Compare_Lease{Lease: -1}}, {}}},
		{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte("\x00"), RangeEnd: []byte("\x00"), PrevKv: true}}}, putOf("b")}},
		{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte{0}, SortTarget: 4, Revision: 1, Limit: -1, MaxModRevision: -1}}}}},
		{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("a"), IgnoreValue: true, IgnoreLease: true, PrevKv: true}}}}},
	} {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := new(pb.TxnRequest)
		if proto.Unmarshal(b, r) != nil || checkTxn(r) != nil {
			return
		}
		s := storetest.NewMemory(t)
		put(t, s, "a", []byte("1"))
		res, err := s.Txn(context.Background(), txnRequest(r))
		if err != nil {
			if st, _ := status.FromError(statusOf(err)); len(st.Message()) < 7 || st.Message()[:7] == "herald:" {
				t.Errorf("%v: %v", r, err)
			}
			return
		}
		if _, err := proto.Marshal(fillTxn(new(pb.TxnResponse), &res)); err != nil {
			t.Error(err)
		}
	})
}
