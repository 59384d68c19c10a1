package grpcserver

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"

	"herald/registry"
)

// fieldHead is the most that the number and the length of a field take here.
const fieldHead = 1 + 5

// headerSize is the most that a header takes, as a field.
const headerSize = fieldHead + 4*11

// appendUint appends a field unless it is zero.
func appendUint(b []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

// appendBytes appends a field unless it is empty.
func appendBytes[T string | []byte](b []byte, number protowire.Number, v T) []byte {
	if len(v) == 0 {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(v)))
	return append(b, v...)
}

// appendHeader appends an answer's header, its field 1.
func appendHeader(b []byte, h *pb.ResponseHeader) []byte {
	var space [headerSize]byte
	in := space[:0]
	in = appendUint(in, 1, h.ClusterId)
	in = appendUint(in, 2, h.MemberId)
	in = appendUint(in, 3, uint64(h.Revision))
	in = appendUint(in, 4, h.RaftTerm)
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	return protowire.AppendBytes(b, in)
}

// sizeKV is what appendKV appends, but for the field's own head.
func sizeKV(kv *registry.KeyValue) int {
	return sizeBytes(len(kv.Key)) + sizeBytes(len(kv.Value)) +
		sizeUint(uint64(kv.CreateRevision)) + sizeUint(uint64(kv.ModRevision)) + sizeUint(uint64(kv.Version)) + sizeUint(uint64(kv.Lease))
}

func sizeBytes(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(n)
}

func sizeUint(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(v)
}

// appendKV appends a key as a field, a mvccpb.KeyValue.
func appendKV(b []byte, number protowire.Number, kv *registry.KeyValue) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizeKV(kv)))
	b = appendBytes(b, 1, kv.Key)
	b = appendUint(b, 2, uint64(kv.CreateRevision))
	b = appendUint(b, 3, uint64(kv.ModRevision))
	b = appendUint(b, 4, uint64(kv.Version))
	b = appendBytes(b, 5, kv.Value)
	return appendUint(b, 6, uint64(kv.Lease))
}

// putAnswer is a PutResponse.
type putAnswer struct {
	header pb.ResponseHeader
	prev   *registry.KeyValue
}

func (a *putAnswer) size() int {
	n := headerSize
	if a.prev != nil {
		n += fieldHead + sizeKV(a.prev)
	}
	return n
}

func (a *putAnswer) append(b []byte) []byte {
	b = appendHeader(b, &a.header)
	if a.prev != nil {
		b = appendKV(b, 2, a.prev)
	}
	return b
}

// rangeAnswer is a RangeResponse.
type rangeAnswer struct {
	header pb.ResponseHeader
	result registry.RangeResult
}

func (a *rangeAnswer) size() int {
	n := headerSize + 2*11
	for i := range a.result.KVs {
		n += fieldHead + sizeKV(&a.result.KVs[i])
	}
	return n
}

func (a *rangeAnswer) append(b []byte) []byte {
	b = appendHeader(b, &a.header)
	for i := range a.result.KVs {
		b = appendKV(b, 2, &a.result.KVs[i])
	}
	if a.result.More {
		b = appendUint(b, 3, 1)
	}
	return appendUint(b, 4, uint64(a.result.Count))
}
