package grpcserver

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that codec wraps
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// encoded is an answer that writes itself as the protobuf message that it stands for. The
// hot paths answer with such, so that what the store returned is written to the wire
// without being copied into messages first.
type encoded interface {
	// size is how many bytes append writes, or a little more.
	size() int
	// append appends the message to b.
	append(b []byte) []byte
}

// pieced is like encoded, for an answer of which some is encoded already and shared with
// others. What it returns is not written to.
type pieced interface {
	pieces() mem.BufferSlice
}

// codec reads and writes the door's messages. It is protobuf's, with short cuts.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if p, ok := v.(pieced); ok {
		return p.pieces(), nil
	}
	e, ok := v.(encoded)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	pool := mem.DefaultBufferPool()
	size := e.size()
	if mem.IsBelowBufferPoolingThreshold(size) {
		return mem.BufferSlice{mem.SliceBuffer(e.append(make([]byte, 0, size)))}, nil
	}
	b := pool.Get(size)
	*b = e.append((*b)[:0])
	return mem.BufferSlice{mem.NewBuffer(b, pool)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	var read func([]byte) bool
	switch m := v.(type) {
	case *pb.PutRequest:
		read = func(b []byte) bool { return readPut(m, b) }
	case *pb.RangeRequest:
		read = func(b []byte) bool { return readRange(m, b) }
	default:
		return c.CodecV2.Unmarshal(data, v)
	}
	// What is read keeps pointing into it, so it is a copy of its own.
	b := data.Materialize()
	if read(b) {
		return nil
	}
	// It has something in it that the short cut does not know.
	return proto.Unmarshal(b, v.(proto.Message))
}
