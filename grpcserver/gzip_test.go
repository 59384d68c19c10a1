package grpcserver

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// wireBytes counts what a client's connection receives, as it goes over the wire.
type wireBytes struct{ received atomic.Int64 }

func (*wireBytes) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (*wireBytes) HandleConn(context.Context, stats.ConnStats) {}

func (*wireBytes) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (w *wireBytes) HandleRPC(_ context.Context, s stats.RPCStats) {
	if in, ok := s.(*stats.InPayload); ok {
		w.received.Add(int64(in.CompressedLength))
	}
}

// countedClient is a connection to the door that counts, with the options of its calls.
func (h *harness) countedClient(options ...grpc.CallOption) (*grpc.ClientConn, *wireBytes) {
	h.t.Helper()
	count := new(wireBytes)
	conn, err := grpc.NewClient(h.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(count), grpc.WithDefaultCallOptions(options...))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	return conn, count
}

// Who compresses is answered compressed, whichever way an answer is written; who does not is not.
func TestMessagesMayBeCompressed(t *testing.T) {
	value := bytes.Repeat([]byte("x"), 100<<10)
	for _, c := range []struct {
		name       string
		options    []grpc.CallOption
		compressed bool
	}{
		{"gzip", []grpc.CallOption{grpc.UseCompressor("gzip")}, true},
		{"plain", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			conn, count := h.countedClient(c.options...)
			kv := pb.NewKVClient(conn)
			answered := func(what string, err error) {
				t.Helper()
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if n := count.received.Swap(0); n == 0 || n < int64(len(value)) != c.compressed {
					t.Errorf("%s: %d bytes come over the wire", what, n)
				}
			}
			put := &pb.PutRequest{Key: []byte("a"), Value: value}
			if _, err := kv.Put(t.Context(), put); err != nil {
				t.Fatal(err)
			}
			count.received.Store(0)

			// Answers that write themselves, those of protobuf, and those in pieces.
			read := &pb.RangeRequest{Key: []byte("a")}
			res, err := kv.Range(t.Context(), read)
			answered("a read", err)
			if len(res.Kvs) != 1 || !bytes.Equal(res.Kvs[0].Value, value) {
				t.Errorf("the key is read as %d keys", len(res.Kvs))
			}
			_, err = kv.Txn(t.Context(), &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{RequestRange: read}}}})
			answered("a transaction", err)
			w, err := pb.NewWatchClient(conn).Watch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			create := &pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 2}
			if err := w.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}); err != nil {
				t.Fatal(err)
			}
			if created, err := w.Recv(); err != nil || !created.Created {
				t.Fatalf("the watch is not made: %v, %v", created, err)
			}
			count.received.Store(0)
			told, err := w.Recv()
			answered("a watch", err)
			if len(told.Events) != 1 || !bytes.Equal(told.Events[0].Kv.Value, value) {
				t.Errorf("the put is told as %d events", len(told.Events))
			}
		})
	}
}

// A message counts by its length when it is no longer compressed.
func TestCompressionHidesNoSize(t *testing.T) {
	h := open(t)
	conn, _ := h.countedClient(grpc.UseCompressor("gzip"))
	for _, c := range []struct {
		bytes int
		code  codes.Code
	}{
		{defaultRequestBytes - 1<<10, codes.OK},
		{defaultRequestBytes + 1, codes.InvalidArgument},
		{defaultRequestBytes + overheadBytes, codes.ResourceExhausted},
		{64 << 20, codes.ResourceExhausted},
	} {
		_, err := pb.NewKVClient(conn).Put(t.Context(), &pb.PutRequest{Key: []byte("a"), Value: make([]byte, c.bytes)})
		if status.Code(err) != c.code {
			t.Errorf("a compressed put of %d bytes: %v, want %v", c.bytes, err, c.code)
		}
	}
}
