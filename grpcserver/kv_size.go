package grpcserver

import (
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"

	"herald/registry"
)

const (
	// raftBytes is what etcd's log entry of a large write has beside the write, which counts: its
	// limit is on the entry, and clients size their requests by what it lets pass.
	raftBytes = 18
	// putBytes is more than a put ever has beside its key and its value.
	putBytes = 64
)

// maxRequestBytes is how large a write may be that the store takes.
func maxRequestBytes(s registry.Store) int {
	if l, ok := s.(interface{ MaxRequestBytes() int }); ok {
		return l.MaxRequestBytes()
	}
	return defaultRequestBytes
}

// checkSize refuses a write that etcd's log would not take. The store counts the bytes of its own
// encoding, a few fewer mostly.
func (c *core) checkSize(r proto.Message) error {
	if proto.Size(r)+raftBytes > c.requestBytes {
		return rpctypes.ErrGRPCRequestTooLarge
	}
	return nil
}
