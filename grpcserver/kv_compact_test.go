package grpcserver

import (
	"fmt"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"

	"herald/registry"
)

// What a physical compaction gives back is given back when it is answered.
func TestPhysicalCompaction(t *testing.T) {
	h := open(t)
	kv, m := pb.NewKVClient(h.conn), pb.NewMaintenanceClient(h.conn)
	size := func() int64 {
		s, err := m.Status(t.Context(), &pb.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return s.DbSize
	}
	const revisions, keys = 100_000, 100
	ops := make([]registry.Op, keys)
	var last int64
	for last < revisions {
		for i := range ops {
			ops[i] = putOp(fmt.Sprintf("k%02d", i), fmt.Sprint(last))
			last = h.mustTxn(ops[i])
		}
	}
	before := size()
	_, err := kv.Compact(t.Context(), &pb.CompactionRequest{Revision: last, Physical: true})
	wantStatus(t, "the compaction", err, codes.OK, "")
	after := size()
	if after > before/100 {
		t.Errorf("%d bytes of %d are left when it was answered", after, before)
	}
	for range 100 { // each sweeps what is left to sweep
		if err := h.store.Compact(t.Context(), registry.SpaceKV, last); err == nil {
			t.Fatal("compacted twice")
		}
	}
	if later := size(); later != after {
		t.Errorf("%d bytes when it was answered, %d later", after, later)
	}
	_, err = kv.Compact(t.Context(), &pb.CompactionRequest{Revision: last, Physical: true})
	wantStatus(t, "once more", err, codes.OutOfRange, "etcdserver: mvcc: required revision has been compacted")
}
