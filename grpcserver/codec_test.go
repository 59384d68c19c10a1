package grpcserver

import (
	"bytes"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"herald/registry"
)

// The codec's short cuts must read and write what protobuf does.

func drawBytes(t *rapid.T, name string) []byte {
	return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, name)
}

func decodedLikeProtobuf[M proto.Message](t *rapid.T, sent, got M) {
	t.Helper()
	b, err := proto.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	// In pieces, as the transport may have it.
	cut := rapid.IntRange(0, len(b)).Draw(t, "cut")
	data := mem.BufferSlice{mem.SliceBuffer(b[:cut]), mem.SliceBuffer(b[cut:])}
	if err := newCodec().Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	clear(b) // what was read must not lie in the transport's memory
	if !proto.Equal(sent, got) {
		t.Fatalf("read %v, sent %v", got, sent)
	}
}

func TestCodecReadsLikeProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		decodedLikeProtobuf(t, &pb.PutRequest{
			Key: drawBytes(t, "key"), Value: drawBytes(t, "value"), Lease: rapid.Int64().Draw(t, "lease"),
			PrevKv: rapid.Bool().Draw(t, "prev"), IgnoreValue: rapid.Bool().Draw(t, "ignore value"), IgnoreLease: rapid.Bool().Draw(t, "ignore lease"),
		}, new(pb.PutRequest))
		decodedLikeProtobuf(t, &pb.RangeRequest{
			Key: drawBytes(t, "key"), RangeEnd: drawBytes(t, "end"), Limit: rapid.Int64().Draw(t, "limit"), Revision: rapid.Int64().Draw(t, "revision"),
			SortOrder: pb.RangeRequest_SortOrder(rapid.Int32().Draw(t, "order")), SortTarget: pb.RangeRequest_SortTarget(rapid.Int32().Draw(t, "target")),
			Serializable: rapid.Bool().Draw(t, "serializable"), KeysOnly: rapid.Bool().Draw(t, "keys"), CountOnly: rapid.Bool().Draw(t, "count"),
			MinModRevision: rapid.Int64().Draw(t, "min mod"), MaxModRevision: rapid.Int64().Draw(t, "max mod"),
			MinCreateRevision: rapid.Int64().Draw(t, "min create"), MaxCreateRevision: rapid.Int64().Draw(t, "max create"),
		}, new(pb.RangeRequest))
	})
}

func drawKV(t *rapid.T) registry.KeyValue {
	return registry.KeyValue{
		Key: string(drawBytes(t, "key")), Value: drawBytes(t, "value"), CreateRevision: rapid.Int64().Draw(t, "create"),
		ModRevision: rapid.Int64().Draw(t, "mod"), Version: rapid.Int64().Draw(t, "version"), Lease: registry.LeaseID(rapid.Int64().Draw(t, "lease")),
	}
}

func drawHeader(t *rapid.T, h *pb.ResponseHeader) *pb.ResponseHeader {
	h.ClusterId, h.MemberId = rapid.Uint64().Draw(t, "cluster"), rapid.Uint64().Draw(t, "member")
	h.Revision, h.RaftTerm = rapid.Int64().Draw(t, "revision"), rapid.Uint64().Draw(t, "term")
	return h
}

func encodedLikeProtobuf[M proto.Message](t *rapid.T, answer encoded, want, got M) {
	t.Helper()
	data, err := newCodec().Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Free()
	if n := data.Len(); n > answer.size() {
		t.Fatalf("%d bytes, more than the %d that were announced", n, answer.size())
	}
	if err := proto.Unmarshal(data.Materialize(), got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(want, got) {
		t.Fatalf("wrote %v, want %v", got, want)
	}
}

func message(kv *registry.KeyValue) *mvccpb.KeyValue { return fillKV(new(mvccpb.KeyValue), kv) }

func TestCodecWritesLikeProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		put, wantPut := new(putAnswer), new(pb.PutResponse)
		wantPut.Header = proto.CloneOf(drawHeader(t, &put.header))
		if rapid.Bool().Draw(t, "prev") {
			kv := drawKV(t)
			put.prev, wantPut.PrevKv = &kv, message(&kv)
		}
		encodedLikeProtobuf(t, put, wantPut, new(pb.PutResponse))

		read, wantRead := new(rangeAnswer), new(pb.RangeResponse)
		wantRead.Header = proto.CloneOf(drawHeader(t, &read.header))
		for range rapid.IntRange(0, 5).Draw(t, "keys") {
			kv := drawKV(t)
			read.result.KVs, wantRead.Kvs = append(read.result.KVs, kv), append(wantRead.Kvs, message(&kv))
		}
		read.result.Count, read.result.More = rapid.Int64().Draw(t, "count"), rapid.Bool().Draw(t, "more")
		wantRead.Count, wantRead.More = read.result.Count, read.result.More
		encodedLikeProtobuf(t, read, wantRead, new(pb.RangeResponse))
	})
}

// What a short cut takes, protobuf takes alike; what it refuses, it leaves to protobuf.
func FuzzReadMessage(f *testing.F) {
	for _, m := range []proto.Message{
		&pb.PutRequest{Key: []byte("k"), Value: []byte("v"), Lease: -1, PrevKv: true},
		&pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte{0}, Limit: 5, SortTarget: 3},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, 0x7a, 1, 'x')) // a field of a later version
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range []proto.Message{new(pb.PutRequest), new(pb.RangeRequest)} {
			got, want := m.ProtoReflect().New().Interface(), m.ProtoReflect().New().Interface()
			err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(bytes.Clone(b))}, got)
			wantErr := proto.Unmarshal(b, want)
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("%T of %x: %v, protobuf says %v", m, b, err, wantErr)
			}
			if err == nil && !proto.Equal(got, want) {
				t.Fatalf("%x is %v, protobuf says %v", b, got, want)
			}
		}
	})
}
