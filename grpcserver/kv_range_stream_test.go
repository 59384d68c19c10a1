package grpcserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// received is what a streamed read sent, and how it ended.
func received(s grpc.ServerStreamingClient[pb.RangeStreamResponse], err error) ([]*pb.RangeResponse, error) {
	var pieces []*pb.RangeResponse
	for err == nil {
		var r *pb.RangeStreamResponse
		if r, err = s.Recv(); err == nil {
			pieces = append(pieces, r.RangeResponse)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return pieces, err
}

// merged puts the pieces together as clients do, and fails the test if any but the last
// says more than keys, or one is too large.
func merged(t rapid.TB, pieces []*pb.RangeResponse) *pb.RangeResponse {
	t.Helper()
	all := new(pb.RangeResponse)
	for i, p := range pieces {
		last := i == len(pieces)-1
		if !last && (p.Header != nil || p.Count != 0 || p.More || len(p.Kvs) == 0) {
			t.Errorf("piece %d of %d: header %v, count %d, more %v, %d keys", i+1, len(pieces), p.Header, p.Count, p.More, len(p.Kvs))
		}
		if i == 0 && len(p.Kvs) > firstPage {
			t.Errorf("%d keys in the first piece", len(p.Kvs))
		}
		bytes := 0
		for _, kv := range p.Kvs {
			bytes += len(kv.Key) + len(kv.Value)
		}
		if bytes > pieceBytes && len(p.Kvs) > 1 {
			t.Errorf("a piece of %d keys has %d bytes", len(p.Kvs), bytes)
		}
		proto.Merge(all, p)
	}
	return all
}

func put(t testing.TB, s registry.Store, key string, value []byte) {
	t.Helper()
	if _, err := registry.Put(context.Background(), s, registry.PutRequest{Key: key, Value: value}); err != nil {
		t.Fatal(err)
	}
}

func TestRangeStreamPutTogetherIsRange(t *testing.T) {
	h := open(t)
	kv := pb.NewKVClient(h.conn)
	const keys = 300
	for i := range keys {
		put(t, h.store, fmt.Sprintf("k%03d", i), bytes.Repeat([]byte{'v'}, i%7))
	}
	for i := 0; i < keys; i += 3 { // so that old revisions hold something else
		put(t, h.store, fmt.Sprintf("k%03d", i), []byte("newer"))
	}
	for i := 1; i < keys; i += 5 {
		if _, err := registry.Delete(t.Context(), h.store, registry.DeleteRequest{KeyRange: registry.One(fmt.Sprintf("k%03d", i))}); err != nil {
			t.Fatal(err)
		}
	}
	newest := h.store.Status().Revisions[registry.SpaceKV]
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.Custom(func(t *rapid.T) []byte { return fmt.Appendf(nil, "k%03d", rapid.IntRange(0, keys).Draw(t, "n")) })
		r := &pb.RangeRequest{
			Key:          rapid.OneOf(key, rapid.Just([]byte("\x00")), rapid.Just([]byte("k"))).Draw(t, "key"),
			RangeEnd:     rapid.OneOf(key, rapid.Just([]byte("\x00")), rapid.Just([]byte(nil)), rapid.Just([]byte("l"))).Draw(t, "end"),
			Limit:        rapid.OneOf(rapid.Int64Range(-1, 60), rapid.Int64Range(230, 310), rapid.SampledFrom([]int64{10, 50, 240})).Draw(t, "limit"),
			Revision:     rapid.OneOf(rapid.Int64Range(1, newest), rapid.Just[int64](0)).Draw(t, "revision"),
			Serializable: rapid.Bool().Draw(t, "serializable"),
			KeysOnly:     rapid.Bool().Draw(t, "keys only"),
			CountOnly:    rapid.IntRange(0, 9).Draw(t, "count only") == 0,
			SortOrder:    rapid.SampledFrom([]pb.RangeRequest_SortOrder{pb.RangeRequest_NONE, pb.RangeRequest_ASCEND}).Draw(t, "order"),
		}
		want, err := kv.Range(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		pieces, err := received(kv.RangeStream(context.Background(), r))
		if err != nil {
			t.Fatal(err)
		}
		if got := merged(t, pieces); !proto.Equal(got, want) {
			t.Errorf("%v\n%d pieces are %v\nwant %v", r, len(pieces), got, want)
		}
	})
}

// A target without an order is taken, and sorted by as Range does.
func TestRangeStreamOfATargetWithoutAnOrder(t *testing.T) {
	h := open(t)
	kv := pb.NewKVClient(h.conn)
	const keys = 3 * firstPage
	for i := range keys {
		put(t, h.store, fmt.Sprintf("k%02d", i), fmt.Appendf(nil, "v%02d", keys-i))
	}
	for _, target := range []pb.RangeRequest_SortTarget{pb.RangeRequest_VERSION, pb.RangeRequest_CREATE, pb.RangeRequest_MOD, pb.RangeRequest_VALUE} {
		for _, limit := range []int64{0, firstPage + 5, keys} {
			r := &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l"), SortTarget: target, Limit: limit}
			want, err := kv.Range(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			pieces, err := received(kv.RangeStream(t.Context(), r))
			if err != nil {
				t.Fatal(err)
			}
			got := new(pb.RangeResponse)
			for _, p := range pieces {
				proto.Merge(got, p)
			}
			if !proto.Equal(got, want) {
				t.Errorf("by %v, limit %d: %v\nwant %v", target, limit, got, want)
			}
		}
	}
}

func TestRangeStreamPiecesAreBounded(t *testing.T) {
	h := open(t)
	kv := pb.NewKVClient(h.conn)
	for i := range 40 {
		size := 100 << 10
		if i%10 == 3 {
			size = pieceBytes + 100
		}
		put(t, h.store, fmt.Sprintf("k%02d", i), bytes.Repeat([]byte{byte(i)}, size))
	}
	r := &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l")}
	want, err := kv.Range(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	pieces, err := received(kv.RangeStream(t.Context(), r))
	if err != nil {
		t.Fatal(err)
	}
	if got := merged(t, pieces); !proto.Equal(got, want) {
		t.Error("the pieces together are not what Range answers")
	}
	if len(pieces) < 8 { // about 3.5 MB, and four keys that go alone
		t.Errorf("%d pieces", len(pieces))
	}
}

// interrupted is a store that runs something before each read of user's keys, which are
// counted from 1.
type interrupted struct {
	registry.Store
	reads  atomic.Int64
	before func(read int64)
}

func (s *interrupted) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	if r.Space == registry.SpaceKV {
		s.before(s.reads.Add(1))
	}
	return s.Store.Range(ctx, r)
}

// openInterrupted starts a door over a store with keys k00 to k99, and runs before before
// each of its reads.
func openInterrupted(t *testing.T, before func(m *storetest.Memory, read int64)) *harness {
	m := storetest.NewMemory(t)
	for i := range 100 {
		put(t, m, fmt.Sprintf("k%02d", i), nil)
	}
	return openOver(t, m, func(_ *Config, host *plugin.Host) {
		host.Store = &interrupted{Store: m, before: func(read int64) { before(m, read) }}
	})
}

func TestRangeStreamIsOfOneRevision(t *testing.T) {
	const newest = 101 // when the stream begins
	for _, tc := range []struct {
		limit, revision int64
		keys            int
		count           int64
		more            bool
	}{
		{keys: 100, count: 100},
		{limit: 60, keys: 60, count: 100, more: true},
		{limit: 100, keys: 100, count: 100},
		{revision: 61, keys: 60, count: 60},
		{revision: 61, limit: 50, keys: 50, count: 60, more: true},
	} {
		h := openInterrupted(t, func(m *storetest.Memory, read int64) {
			if read == 1 {
				return
			}
			put(t, m, "k99", []byte("too late"))
			put(t, m, fmt.Sprintf("k98-%d", read), nil)
			if _, err := registry.Delete(t.Context(), m, registry.DeleteRequest{KeyRange: registry.One("k40")}); err != nil {
				t.Error(err)
			}
		})
		r := &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l"), Limit: tc.limit, Revision: tc.revision}
		pieces, err := received(pb.NewKVClient(h.conn).RangeStream(t.Context(), r))
		if err != nil {
			t.Fatal(err)
		}
		got := merged(t, pieces)
		if len(pieces) < 2 || len(got.Kvs) != tc.keys || got.Count != tc.count || got.More != tc.more || got.Header.GetRevision() != newest {
			t.Errorf("%v: %d pieces, %d keys, count %d, more %v, header %v", r, len(pieces), len(got.Kvs), got.Count, got.More, got.Header)
		}
		for i, kv := range got.Kvs {
			if want := fmt.Sprintf("k%02d", i); string(kv.Key) != want || kv.ModRevision != int64(i+2) {
				t.Errorf("%v: key %d is %q of revision %d", r, i, kv.Key, kv.ModRevision)
			}
		}
	}
}

func TestRangeStreamEndsWhenItsRevisionIsCompacted(t *testing.T) {
	h := openInterrupted(t, func(m *storetest.Memory, read int64) {
		if read != 3 {
			return
		}
		put(t, m, "k00", []byte("newer"))
		if err := m.Compact(t.Context(), registry.SpaceKV, 102); err != nil {
			t.Error(err)
		}
	})
	pieces, err := received(pb.NewKVClient(h.conn).RangeStream(t.Context(), &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l")}))
	wantStatus(t, "compacted between the pieces", err, codes.OutOfRange, rpctypes.ErrorDesc(rpctypes.ErrGRPCCompacted))
	if len(pieces) != 1 || len(pieces[0].Kvs) != firstPage || pieces[0].Header != nil {
		t.Errorf("%d pieces before the end", len(pieces))
	}
}

func TestRangeStreamRefusals(t *testing.T) {
	h := open(t)
	put(t, h.store, "a", nil)
	put(t, h.store, "b", nil)
	if err := h.store.Compact(t.Context(), registry.SpaceKV, 3); err != nil {
		t.Fatal(err)
	}
	all := func(adjust func(*pb.RangeRequest)) *pb.RangeRequest {
		r := &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("z")}
		adjust(r)
		return r
	}
	for _, tc := range []struct {
		what string
		r    *pb.RangeRequest
		code codes.Code
		text string
	}{
		{"no key", all(func(r *pb.RangeRequest) { r.Key = nil }), codes.InvalidArgument, "etcdserver: key is not provided"},
		{"no such order", all(func(r *pb.RangeRequest) { r.SortOrder = 7 }), codes.InvalidArgument, "etcdserver: invalid sort option"},
		{"no such target", all(func(r *pb.RangeRequest) { r.SortTarget = 7 }), codes.InvalidArgument, "etcdserver: invalid sort option"},
		{"descending", all(func(r *pb.RangeRequest) { r.SortOrder = pb.RangeRequest_DESCEND }), codes.Unimplemented, ""},
		{"by version", all(func(r *pb.RangeRequest) {
			r.SortTarget, r.SortOrder = pb.RangeRequest_VERSION, pb.RangeRequest_ASCEND
		}), codes.Unimplemented, ""},
		{"min mod", all(func(r *pb.RangeRequest) { r.MinModRevision = 1 }), codes.Unimplemented, ""},
		{"max mod", all(func(r *pb.RangeRequest) { r.MaxModRevision = -1 }), codes.Unimplemented, ""},
		{"min create", all(func(r *pb.RangeRequest) { r.MinCreateRevision = 1 }), codes.Unimplemented, ""},
		{"max create", all(func(r *pb.RangeRequest) { r.MaxCreateRevision = 1 }), codes.Unimplemented, ""},
		{"compacted", all(func(r *pb.RangeRequest) { r.Revision = 2 }), codes.OutOfRange, "etcdserver: mvcc: required revision has been compacted"},
		{"future", all(func(r *pb.RangeRequest) { r.Revision = 4 }), codes.OutOfRange, "etcdserver: mvcc: required revision is a future revision"},
	} {
		pieces, err := received(pb.NewKVClient(h.conn).RangeStream(t.Context(), tc.r))
		wantStatus(t, tc.what, err, tc.code, tc.text)
		if len(pieces) != 0 {
			t.Errorf("%s: %d pieces", tc.what, len(pieces))
		}
	}
	h.store.SetOutage(registry.ErrNoLeader)
	_, err := received(pb.NewKVClient(h.conn).RangeStream(t.Context(), all(func(*pb.RangeRequest) {})))
	wantStatus(t, "no leader", err, codes.Unavailable, "etcdserver: no leader")
	pieces, err := received(pb.NewKVClient(h.conn).RangeStream(t.Context(), all(func(r *pb.RangeRequest) { r.Serializable = true })))
	if err != nil || len(pieces) != 1 || pieces[0].Count != 2 {
		t.Errorf("serializable without a leader: %v, %v", pieces, err)
	}
}
