package mvcc

import (
	"herald/registry"
	"herald/registry/cow"
)

// firstRevision is the revision of a space that nothing was ever written to.
const firstRevision = 1

// maxRevision is more than any space will see, and leaves room to count beyond.
const maxRevision = 1 << 62

// neverCompacted is the compaction revision of a space that was not compacted.
// It lies below 0, since compacting at 0 is allowed once, as etcd has it.
const neverCompacted = -1

// space is one keyspace. Its methods read only, so that they serve the writer's
// working copy and a published view alike.
type space struct {
	id        registry.Space
	rev       int64
	compacted int64

	// keys are the live keys; each is the newest version of its key.
	keys *cow.Set[*record]
	// log are the commits, which say what was before them: see past.go.
	log commitLog
	// dead remembers when keys that do not exist were deleted, also after their
	// tombstones were compacted; deadFloor is the highest revision forgotten.
	dead      *cow.Map[string, int64]
	deadFloor int64
	// restored is the revision of the last restore, 0 if there was none: every key may
	// have changed then. It is at most deadFloor.
	restored int64

	bytes int64 // of keys and values in keys
	// versions counts superseded versions and tombstones that are not swept yet,
	// versionBytes their keys and values.
	versions     int
	versionBytes int64
}

func newSpace(id registry.Space) space {
	return space{
		id: id, rev: firstRevision, compacted: neverCompacted,
		keys: new(cow.Set[*record]),
		dead: cow.NewMap[string, int64](),
		log:  newLog(firstRevision + 1),
	}
}

// lowest is the lowest revision that can be read.
func (s *space) lowest() int64 { return max(s.compacted, 0) }

func (s *space) compactedError() error {
	return &registry.CompactedError{Space: s.id, Lowest: s.lowest()}
}

// readable says whether the space can be read as it stood at rev. current is the
// revision that counts as present.
func (s *space) readable(rev, current int64) error {
	switch {
	case rev > current:
		return registry.ErrFutureRevision
	case rev < s.compacted:
		return s.compactedError()
	}
	return nil
}

// get returns the live record of key, or nil.
func (s *space) get(key string) *record {
	r, _ := s.keys.Get(key)
	return r
}

// scan yields the live records of a range in key order.
func (s *space) scan(kr registry.KeyRange, yield func(*record) bool) {
	switch {
	case kr.IsOne():
		if r := s.get(kr.Start); r != nil {
			yield(r)
		}
	case kr.Unbounded():
		s.keys.Ascend(kr.Start, yield)
	case !kr.Empty():
		s.keys.Between(kr.Start, kr.End, yield)
	}
}

// scanDown yields the live records of a range in reverse key order.
func (s *space) scanDown(kr registry.KeyRange, yield func(*record) bool) {
	switch {
	case kr.IsOne():
		s.scan(kr, yield)
	case kr.Unbounded():
		s.keys.Reverse(func(r *record) bool { return r.key() >= kr.Start && yield(r) })
	case !kr.Empty():
		s.keys.Descend(kr.End, func(r *record) bool { return r.key() >= kr.Start && yield(r) })
	}
}
