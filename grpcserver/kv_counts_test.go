package grpcserver

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/metadata"
)

// metric is a metric's value in /metrics, "" if it is not there.
func (h *harness) metric(name string) string {
	h.t.Helper()
	_, text := h.ask("GET", "/metrics", "")
	_, value, _ := strings.Cut(text, "\n"+name+" ")
	value, _, _ = strings.Cut(value, "\n")
	return value
}

func (h *harness) wantMetrics(after string, want map[string]string) {
	h.t.Helper()
	for name, value := range want {
		until(h.t, fmt.Sprintf("after %s: %s is %s", after, name, value), func() bool { return h.metric(name) == value })
	}
}

func TestKVCounts(t *testing.T) {
	h := open(t)
	kv := pb.NewKVClient(h.conn)
	put := func(key string) *pb.RequestOp {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(key)}}}
	}
	get := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("a")}}}
	del := &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte("a"), RangeEnd: []byte("c")}}}
	txn := func(r *pb.TxnRequest) func() error {
		return func() error { _, err := kv.Txn(t.Context(), r); return err }
	}
	never := []*pb.Compare{{Key: []byte("a"), Target: pb.Compare_VERSION, Result: pb.Compare_EQUAL, TargetUnion: &pb.Compare_Version{Version: 99}}}
	h.wantMetrics("the start", map[string]string{
		"etcd_debugging_mvcc_keys_total": "0", "etcd_debugging_mvcc_current_revision": "1", "etcd_debugging_mvcc_compact_revision": "-1",
	})
	// As an etcd counts the same calls.
	for _, c := range []struct {
		what                       string
		call                       func() error
		puts, deletes, reads, txns int
	}{
		{"a put", func() error { _, err := kv.Put(t.Context(), &pb.PutRequest{Key: []byte("a")}); return err }, 1, 0, 0, 0},
		{"a refused put", func() error {
			if _, err := kv.Put(t.Context(), &pb.PutRequest{Key: []byte("a"), Lease: 77}); err == nil {
				return io.ErrUnexpectedEOF
			}
			return nil
		}, 1, 0, 0, 0},
		{"a read", func() error { _, err := kv.Range(t.Context(), &pb.RangeRequest{Key: []byte("a")}); return err }, 1, 0, 1, 0},
		{"a deletion of nothing", func() error {
			_, err := kv.DeleteRange(t.Context(), &pb.DeleteRangeRequest{Key: []byte("none")})
			return err
		}, 1, 1, 1, 0},
		{"two reads in one", txn(&pb.TxnRequest{Success: []*pb.RequestOp{get, get}}), 1, 1, 3, 1},
		{"puts and a read", txn(&pb.TxnRequest{Success: []*pb.RequestOp{put("b"), put("c"), get}}), 3, 1, 4, 2},
		{"one that does nothing", txn(&pb.TxnRequest{Compare: never, Success: []*pb.RequestOp{put("d"), put("e")}}), 3, 1, 4, 2},
		{"one deletion of two keys", txn(&pb.TxnRequest{Success: []*pb.RequestOp{del}}), 3, 2, 4, 2},
		{"one in one", txn(&pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Success: []*pb.RequestOp{put("f")}}}}}}), 4, 2, 4, 2},
		{"two in one", txn(&pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Success: []*pb.RequestOp{put("f"), get}}}}}}), 5, 2, 5, 3},
		{"a read in pieces", func() error {
			stream, err := kv.RangeStream(t.Context(), &pb.RangeRequest{Key: []byte("a")})
			for err == nil {
				_, err = stream.Recv()
			}
			if err == io.EOF {
				return nil
			}
			return err
		}, 5, 2, 6, 3},
	} {
		if err := c.call(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		h.wantMetrics(c.what, map[string]string{
			"etcd_mvcc_put_total": fmt.Sprint(c.puts), "etcd_mvcc_delete_total": fmt.Sprint(c.deletes),
			"etcd_mvcc_range_total": fmt.Sprint(c.reads), "etcd_mvcc_txn_total": fmt.Sprint(c.txns),
		})
	}
	h.mustCompact(4)
	h.wantMetrics("all", map[string]string{
		"etcd_debugging_mvcc_keys_total": "2", "etcd_debugging_mvcc_current_revision": fmt.Sprint(h.revision()), "etcd_debugging_mvcc_compact_revision": "4",
	})
}

func TestWatchesInEtcdsMetrics(t *testing.T) {
	h := open(t)
	watches := func(streams, watches string) {
		t.Helper()
		h.wantMetrics("a change", map[string]string{"etcd_debugging_mvcc_watch_stream_total": streams, "etcd_debugging_mvcc_watcher_total": watches})
	}
	watches("0", "0")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := pb.NewWatchClient(h.conn).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("a")}}}
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	watches("1", "2")
	cancel()
	watches("0", "0")
}

func TestRequestsByVersion(t *testing.T) {
	h := open(t)
	kv := pb.NewKVClient(h.conn)
	for _, version := range []string{"", "3.7", "3.7", "3.6.5", `3"} 1`, strings.Repeat("3", 17)} {
		ctx := t.Context()
		if version != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "client-api-version", version)
		}
		if _, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte("a")}); err != nil {
			t.Fatal(err)
		}
	}
	requests := func(version, kind string) string {
		return fmt.Sprintf("etcd_server_client_requests_total{client_api_version=%q,type=%q}", version, kind)
	}
	stream, err := pb.NewKVClient(h.conn).RangeStream(metadata.AppendToOutgoingContext(t.Context(), "client-api-version", "3.7"), &pb.RangeRequest{Key: []byte("a")})
	for err == nil {
		_, err = stream.Recv()
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	h.wantMetrics("some", map[string]string{
		requests("unknown", "unary"): "3", requests("3.7", "unary"): "2", requests("3.6.5", "unary"): "1", requests("3.7", "stream"): "1",
		requests("unknown", "stream"): "",
	})
}

// Clients name their versions, at the same time and as many as they like.
func TestVersionsAreBounded(t *testing.T) {
	c := newVersionCounts()
	const clients = 8
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for v := range 10 * maxVersions {
				c.of(fmt.Sprintf("3.%d", v)).unary.Add(1)
			}
		})
	}
	all.Wait()
	known, sum := *c.known.Load(), uint64(0)
	for _, counts := range known {
		sum += counts.unary.Load()
	}
	if len(known) != maxVersions || sum != clients*10*maxVersions {
		t.Errorf("%d versions, want %d; %d requests, want %d", len(known), maxVersions, sum, clients*10*maxVersions)
	}
	if n := known[unknownVersion].unary.Load(); n != clients*(9*maxVersions+1) {
		t.Errorf("%d of unknown versions", n)
	}
}
