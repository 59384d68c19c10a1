package mvcc

import (
	"math"

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

	// keys are the live keys; each is the newest version of its key. The map's key
	// is the record's own memory.
	keys *cow.Map[string, *record]
	// hist are superseded versions and tombstones, by key and revision: what reads
	// at old revisions need beside keys. No live version is in it.
	hist *cow.Tree[*record]
	log  commitLog
	// dead remembers when keys that do not exist were deleted, also after their
	// tombstones were compacted; deadFloor is the highest revision forgotten.
	dead      *cow.Map[string, int64]
	deadFloor int64
	// restored is the revision of the last restore, 0 if there was none: every key may
	// have changed then. It is at most deadFloor.
	restored int64

	bytes     int64 // of keys and values in keys
	histBytes int64 // of keys and values in hist
}

func newSpace(id registry.Space) space {
	return space{
		id: id, rev: firstRevision, compacted: neverCompacted,
		keys: cow.NewMap[string, *record](),
		hist: cow.NewTree(olderFirst),
		dead: cow.NewMap[string, int64](),
		log:  commitLog{first: firstRevision + 1},
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

// getAt returns the record of key as of rev, or nil.
func (s *space) getAt(key string, rev int64) *record {
	if r := s.get(key); r != nil && r.mod <= rev {
		return r
	}
	var found *record
	s.hist.Descend(probe(key, rev), func(r *record) bool {
		if r.key() == key && !r.deleted() {
			found = r
		}
		return false
	})
	return found
}

// scan yields the live records of a range in key order.
func (s *space) scan(kr registry.KeyRange, yield func(*record) bool) {
	switch {
	case kr.IsOne():
		if r := s.get(kr.Start); r != nil {
			yield(r)
		}
	case kr.Unbounded():
		s.keys.Ascend(kr.Start, func(_ string, r *record) bool { return yield(r) })
	case !kr.Empty():
		s.keys.Ascend(kr.Start, func(k string, r *record) bool { return k < kr.End && yield(r) })
	}
}

// scanDown yields the live records of a range in reverse key order.
func (s *space) scanDown(kr registry.KeyRange, yield func(*record) bool) {
	switch {
	case kr.IsOne():
		s.scan(kr, yield)
	case kr.Unbounded():
		s.keys.Reverse(func(k string, r *record) bool { return k >= kr.Start && yield(r) })
	case !kr.Empty():
		s.keys.Descend(kr.End, func(k string, r *record) bool {
			return k == kr.End || k >= kr.Start && yield(r)
		})
	}
}

// scanAt yields the records of a range as of rev, in key order: the live ones
// that are no newer, merged with the versions that were current then.
func (s *space) scanAt(kr registry.KeyRange, rev int64, yield func(*record) bool) {
	if kr.Empty() {
		return
	}
	if kr.IsOne() {
		if r := s.getAt(kr.Start, rev); r != nil {
			yield(r)
		}
		return
	}
	live, hist := s.keys.Iter(), s.hist.Iter()
	defer hist.Release()
	l, h := live.Seek(kr.Start), hist.Seek(probe(kr.Start, math.MinInt64))
	for {
		l = l && kr.Contains(live.Key())
		h = h && kr.Contains(hist.Item().key())
		var found *record
		switch {
		case !l && !h:
			return
		case l && (!h || live.Key() < hist.Item().key()):
			if r := live.Value(); r.mod <= rev {
				found = r
			}
			l = live.Next()
		default:
			// The versions of one key, oldest first. A live record of the same key is
			// newer than all of them.
			key := hist.Item().key()
			found, h = s.newestAt(&hist, key, rev)
			if l && live.Key() == key {
				if r := live.Value(); r.mod <= rev {
					found = r
				}
				l = live.Next()
			}
		}
		if found != nil && !found.deleted() && !yield(found) {
			return
		}
	}
}

// newestAt takes the iterator, which stands on the oldest version of key, past
// key's versions. It returns the newest of them at or below rev, and whether
// the iterator stands on another key. A key with very many versions costs two
// searches, not a walk over all of them.
func (s *space) newestAt(it *cow.TreeIter[*record], key string, rev int64) (found *record, more bool) {
	const walk = 16
	for range walk {
		r := it.Item()
		if r.key() != key {
			return found, true
		}
		if r.mod <= rev {
			found = r
		}
		if !it.Next() {
			return found, false
		}
	}
	if found != nil {
		s.hist.Descend(probe(key, rev), func(r *record) bool {
			found = r
			return false
		})
	}
	return found, it.Seek(probe(key, math.MaxInt64))
}
