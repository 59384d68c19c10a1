package grpcserver

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

const (
	// hashPage is how many keys are read at a time to be hashed.
	hashPage = 1000
	// hashAttempts is how often the current revision is begun with that was compacted
	// before its keys were read.
	hashAttempts = 3
	// neverCompacted is the compact revision of a store that has all its history.
	neverCompacted = -1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// hashOfNothing is the hash where there is no key. It is not 0, which JSON leaves out: whoever
// reads the hash there is to find one.
const hashOfNothing = 1

// HashKV hashes the user's keys as this server has them at a revision, the current one if
// none is given. Servers that agree on the keys agree on the hash, whatever each has
// compacted.
func (s *maintenanceService) HashKV(ctx context.Context, r *pb.HashKVRequest) (*pb.HashKVResponse, error) {
	h, err := s.hash(ctx, max(r.Revision, 0))
	if err != nil {
		return nil, err
	}
	return &pb.HashKVResponse{Header: s.headerNow(), Hash: h.sum, HashRevision: h.revision, CompactRevision: h.compacted}, nil
}

// Hash hashes the user's keys as this server has them now.
func (s *maintenanceService) Hash(ctx context.Context, _ *pb.HashRequest) (*pb.HashResponse, error) {
	h, err := s.hash(ctx, 0)
	if err != nil {
		return nil, err
	}
	return &pb.HashResponse{Header: s.headerAt(h.revision), Hash: h.sum}, nil
}

// hashed is what is said of the keys at a revision, which was there to be read when compacted was
// the lowest that could be.
type hashed struct {
	sum                 uint32
	revision, compacted int64
}

// hash is of every key that there is at a revision, 0 being the current one, in their order.
func (s *maintenanceService) hash(ctx context.Context, revision int64) (h hashed, err error) {
	for range hashAttempts {
		h, err = s.hashOnce(ctx, revision)
		if revision > 0 || !errors.Is(err, registry.ErrCompacted) {
			break
		}
	}
	return h, err
}

func (s *maintenanceService) hashOnce(ctx context.Context, revision int64) (hashed, error) {
	h := hashed{sum: hashOfNothing, revision: revision}
	page := registry.RangeRequest{KeyRange: registry.All(), Limit: hashPage, SkipCount: true, Consistency: registry.Stale}
	var row []byte
	for more := true; more; {
		page.Revision = h.revision
		res, err := s.store.Range(ctx, page)
		if err != nil {
			return hashed{}, err
		}
		if h.revision == 0 {
			h.revision = res.Revision
		}
		for i := range res.KVs {
			row = appendHashed(row[:0], &res.KVs[i])
			h.sum = crc32.Update(h.sum, castagnoli, row)
			h.sum = crc32.Update(h.sum, castagnoli, res.KVs[i].Value)
		}
		if more = res.More; more {
			page.Start = res.KVs[len(res.KVs)-1].Key + "\x00"
		}
	}
	// Read last, when the revision is there for certain: what is true of the keys at a revision
	// stays true, so that all of it is as of now, unless the revision has gone meanwhile.
	var err error
	if h.compacted, err = s.compactRevision(ctx); err != nil {
		return hashed{}, err
	}
	if h.compacted > h.revision {
		return hashed{}, &registry.CompactedError{Space: registry.SpaceKV, Lowest: h.compacted}
	}
	return h, nil
}

// appendHashed appends what is hashed of a key before its value: all that is replicated of
// it, so that no two different keys look the same.
func appendHashed(b []byte, kv *registry.KeyValue) []byte {
	b = binary.AppendUvarint(b, uint64(len(kv.Key)))
	b = append(b, kv.Key...)
	for _, n := range [...]uint64{
		uint64(kv.CreateRevision), uint64(kv.ModRevision), uint64(kv.Version), uint64(kv.Lease),
		kv.Flags, uint64(kv.Lock.Holder), kv.Lock.Count, uint64(len(kv.Value)),
	} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// compactRevision is the lowest revision that this server can read, neverCompacted if that
// is the first.
func (s *maintenanceService) compactRevision(ctx context.Context) (int64, error) {
	_, err := s.store.Range(ctx, registry.RangeRequest{
		KeyRange: registry.One("\x00"), Revision: 1, KeysOnly: true, Consistency: registry.Stale,
	})
	if compacted := (*registry.CompactedError)(nil); errors.As(err, &compacted) {
		return compacted.Lowest, nil
	}
	return neverCompacted, err
}
