package mvcc

import (
	"slices"

	"herald/registry"
)

// View is the state as it was when it was published. It never changes; any
// number of goroutines may read it, for as long as they like, without holding
// anyone up. What it costs is the memory of what has changed since.
type View struct {
	image
	// swept is up to which revision of each space, not included, what compaction gave up is gone.
	swept [registry.NumSpaces]int64
}

// Applied is the raft index of the last entry that the view contains.
func (v *View) Applied() uint64 { return v.applied }

// Revision is the space's current revision, 1 if nothing was ever written to it.
func (v *View) Revision(s registry.Space) int64 {
	if !s.Valid() {
		return 0
	}
	return v.spaces[s].rev
}

// Compacted is the lowest revision of the space that can be read and watched
// from, 0 if it was never compacted.
func (v *View) Compacted(s registry.Space) int64 {
	if !s.Valid() {
		return 0
	}
	return v.spaces[s].lowest()
}

// Floors is Compacted of every space.
func (v *View) Floors() (revs registry.Revisions) {
	for id := range v.spaces {
		revs[id] = v.spaces[id].lowest()
	}
	return revs
}

// Swept reports whether the space was compacted to rev or beyond, and what was there up to it
// takes no memory any more.
func (v *View) Swept(s registry.Space, rev int64) bool {
	return s.Valid() && v.spaces[s].compacted >= rev && v.swept[s] > rev
}

// Revisions is the current revision of every space.
func (v *View) Revisions() (revs registry.Revisions) {
	for id := range v.spaces {
		revs[id] = v.spaces[id].rev
	}
	return revs
}

// Range reads keys. ErrInvalid, ErrEmptyKey, ErrFutureRevision, *CompactedError.
func (v *View) Range(r registry.RangeRequest) (registry.RangeResult, error) {
	if err := validateRange(&r); err != nil {
		return registry.RangeResult{}, err
	}
	var res registry.RangeResult
	if err := (&run{image: &v.image}).read(&r, &res); err != nil {
		return registry.RangeResult{}, err
	}
	return res, nil
}

// Get reads one key as it is now.
func (v *View) Get(s registry.Space, key string) (registry.KeyValue, bool) {
	if !s.Valid() {
		return registry.KeyValue{}, false
	}
	r := v.spaces[s].get(key)
	if r == nil {
		return registry.KeyValue{}, false
	}
	return r.kv(), true
}

// ReadTxn executes a transaction that does not write. It fails with ErrInvalid
// if it does, and with the errors of Range and *RequireError.
func (v *View) ReadTxn(t registry.Txn) (registry.TxnResult, error) {
	if t.Writes() {
		return registry.TxnResult{}, writesError()
	}
	if err := validateTxn(&t, 0); err != nil {
		return registry.TxnResult{}, err
	}
	r := run{image: &v.image, choices: v.choose(&t, nil)}
	res, err := r.txn(&t)
	if err != nil {
		return registry.TxnResult{}, err
	}
	return *res, nil
}

// Commits yields what was committed to a space from revision from to revision
// to, both included, oldest first, until yield returns false. What lies above
// the current revision is left out. A from below Compacted fails with a
// *CompactedError; the commit at Compacted itself can be had.
func (v *View) Commits(space registry.Space, from, to int64, yield func(registry.Commit) bool) error {
	if !space.Valid() {
		return invalidSpace(space)
	}
	s := &v.spaces[space]
	if from < s.lowest() {
		return s.compactedError()
	}
	for rev := max(from, firstRevision+1); rev <= min(to, s.rev); rev++ {
		if !yield(s.log.at(rev).commit(rev)) {
			break
		}
	}
	return nil
}

// Lease returns a lease.
func (v *View) Lease(id registry.LeaseID) (LeaseState, bool) {
	l, ok := v.leases.Get(int64(id))
	if !ok {
		return LeaseState{}, false
	}
	return l.state(), true
}

// Leases yields every lease, by id, until yield returns false.
func (v *View) Leases(yield func(LeaseState) bool) {
	v.leases.Scan(func(_ int64, l *lease) bool { return yield(l.state()) })
}

// LeaseIDs returns the id of every lease, ascending, but for those that hold a key of one of the
// spaces, which is attached to them or locked by them, and those that wait for the end of such a one.
func (v *View) LeaseIDs(without ...registry.Space) []registry.LeaseID {
	ids := make([]registry.LeaseID, 0, v.leases.Len())
	v.leases.Scan(func(id int64, l *lease) bool {
		holds := func(s registry.Space) bool {
			return v.holdsIn(l.id, s) || l.after != 0 && v.holdsIn(l.after, s)
		}
		if !slices.ContainsFunc(without, holds) {
			ids = append(ids, registry.LeaseID(id))
		}
		return true
	})
	return ids
}

// LeaseKeys returns the keys that are attached to a lease or locked by it, by
// space and key.
func (v *View) LeaseKeys(id registry.LeaseID) []registry.LeasedKey {
	var keys []registry.LeasedKey
	v.holdsOf(id, func(h hold) bool {
		keys = append(keys, registry.LeasedKey{Space: h.space, Key: h.key})
		return true
	})
	return keys
}

// Size is how much a view holds. It is for metrics and for deciding whether to
// accept more, not for anything replicas must agree on: history that compaction
// gave up counts until it is swept, which replicas do at different times.
type Size struct {
	Spaces [registry.NumSpaces]SpaceSize
	Leases int
	// Unswept says that history which compaction gave up is still to be removed.
	Unswept bool
}

// SpaceSize is how much one space holds.
type SpaceSize struct {
	Keys    int   // live keys
	Bytes   int64 // of live keys and their values
	Commits int64 // in the history
	// Versions are superseded versions and tombstones; HistoryBytes are their keys
	// and values.
	Versions     int
	HistoryBytes int64
	// IndexBytes is what readers of old revisions have made of the history so far, in bytes
	// of memory. It is the state's, not the view's.
	IndexBytes int64
	Deleted    int // deleted keys remembered
}

// Size is how much the view holds.
func (v *View) Size() Size {
	size := Size{Leases: v.leases.Len()}
	for id := range v.spaces {
		s := &v.spaces[id]
		size.Unswept = size.Unswept || v.swept[id] <= s.compacted
		size.Spaces[id] = SpaceSize{
			Keys: s.keys.Len(), Bytes: s.bytes,
			Commits:  s.rev - s.history() + 1,
			Versions: s.versions, HistoryBytes: s.versionBytes,
			IndexBytes: s.log.indexes.bytes.Load(),
			Deleted:    s.dead.Len(),
		}
	}
	return size
}

// What an item takes beyond its key and value, in bytes: the record, its share of
// the tree's nodes, the slot in the log. BenchmarkMillion compares the sum with
// what is measured.
const (
	keyOverhead     = 92
	versionOverhead = 48
	commitOverhead  = 41
	deadOverhead    = 120 // with the key, which mostly is short
	leaseOverhead   = 150
)

// Memory estimates how many bytes the view keeps in memory.
func (s Size) Memory() int64 {
	n := int64(s.Leases) * leaseOverhead
	for _, sp := range s.Spaces {
		n += int64(sp.Keys)*keyOverhead + int64(sp.Versions)*versionOverhead + int64(sp.Deleted)*deadOverhead +
			sp.Commits*commitOverhead + sp.Bytes + sp.HistoryBytes + sp.IndexBytes
	}
	return n
}
