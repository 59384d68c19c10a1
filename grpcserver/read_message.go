package grpcserver

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of an encoded message.
type field struct {
	number protowire.Number
	uint   uint64 // of a varint
	bytes  []byte // of what has a length; it points into the message
}

// eachField calls yield with each field of a message, until yield or the message is at
// fault. It reports whether neither was. It knows varints and what has a length.
func eachField(b []byte, yield func(field) bool) bool {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			f.uint, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
			if f.bytes == nil {
				f.bytes = []byte{}
			}
		default:
			return false
		}
		if n < 0 || !yield(f) {
			return false
		}
		b = b[n:]
	}
	return true
}

// isBytes says of which kind the field is.
func (f *field) isBytes() bool { return f.bytes != nil }

// readPut reads a put. It returns false for one that is not encoded as protobuf would have it,
// or has more in it; the message is to be reset then.
func readPut(m *pb.PutRequest, b []byte) bool {
	return eachField(b, func(f field) bool {
		switch {
		case f.number == 1 && f.isBytes():
			m.Key = f.bytes
		case f.number == 2 && f.isBytes():
			m.Value = f.bytes
		case f.isBytes():
			return false
		case f.number == 3:
			m.Lease = int64(f.uint)
		case f.number == 4:
			m.PrevKv = f.uint != 0
		case f.number == 5:
			m.IgnoreValue = f.uint != 0
		case f.number == 6:
			m.IgnoreLease = f.uint != 0
		default:
			return false
		}
		return true
	})
}

// readRange reads a range request, as readPut does a put.
func readRange(m *pb.RangeRequest, b []byte) bool {
	return eachField(b, func(f field) bool {
		switch {
		case f.number == 1 && f.isBytes():
			m.Key = f.bytes
		case f.number == 2 && f.isBytes():
			m.RangeEnd = f.bytes
		case f.isBytes():
			return false
		case f.number == 3:
			m.Limit = int64(f.uint)
		case f.number == 4:
			m.Revision = int64(f.uint)
		case f.number == 5:
			m.SortOrder = pb.RangeRequest_SortOrder(f.uint)
		case f.number == 6:
			m.SortTarget = pb.RangeRequest_SortTarget(f.uint)
		case f.number == 7:
			m.Serializable = f.uint != 0
		case f.number == 8:
			m.KeysOnly = f.uint != 0
		case f.number == 9:
			m.CountOnly = f.uint != 0
		case f.number == 10:
			m.MinModRevision = int64(f.uint)
		case f.number == 11:
			m.MaxModRevision = int64(f.uint)
		case f.number == 12:
			m.MinCreateRevision = int64(f.uint)
		case f.number == 13:
			m.MaxCreateRevision = int64(f.uint)
		default:
			return false
		}
		return true
	})
}
