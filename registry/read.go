package registry

import "time"

// Consistency says how fresh a read must be.
type Consistency uint8

const (
	// Linearizable sees every write acknowledged before the read began. It
	// needs a leader with a quorum, and fails with ErrNoLeader or
	// ErrUnavailable where there is none.
	Linearizable Consistency = iota
	// Stale reads this process's own copy, at no cost, whatever its age.
	Stale
)

// SortTarget is the field that a range is sorted by.
type SortTarget uint8

// The fields that a range can be sorted by.
const (
	SortByKey SortTarget = iota
	SortByVersion
	SortByCreate
	SortByMod
	SortByValue
)

// SortOrder is the direction of a sort. SortNone with SortByKey is key order,
// which costs nothing; SortNone with any other target sorts ascending.
type SortOrder uint8

// The directions of a sort.
const (
	SortNone SortOrder = iota
	SortAscend
	SortDescend
)

// RangeRequest reads the keys of a range. The zero value of every optional
// field asks for nothing special.
type RangeRequest struct {
	Space Space
	KeyRange

	// Revision reads the space as it stood at that revision; 0 or less is now.
	// Below what compaction has kept it fails with a *CompactedError, above the
	// current revision with ErrFutureRevision.
	Revision int64
	// Limit bounds how many keys come back, after filters and sorting; 0 or
	// less is no bound.
	Limit int64
	// CountOnly asks for Count alone, KeysOnly leaves the values out.
	CountOnly bool
	KeysOnly  bool
	// SkipCount allows Count to be left at 0 when counting would cost a scan
	// beyond Limit. More is exact all the same.
	SkipCount bool

	SortTarget SortTarget
	SortOrder  SortOrder

	// Keys below a minimum or above a maximum are filtered out. A minimum of 0
	// or less and a maximum of 0 do not filter.
	MinModRevision, MaxModRevision       int64
	MinCreateRevision, MaxCreateRevision int64

	// WithLastChange asks for LastChange. It is not for old revisions.
	WithLastChange bool

	Consistency Consistency
}

// RangeResult is what a RangeRequest found.
type RangeResult struct {
	KVs []KeyValue
	// Count is how many keys the range holds, whatever limit and filters said.
	Count int64
	// More is set when Limit cut the answer short.
	More bool
	// Revision is the space's revision that the read saw as current, also when
	// it asked for an older one. Inside a transaction it includes that
	// transaction's writes so far.
	Revision int64
	// LastChange is the highest revision at which a key of the range was put or
	// deleted, 0 if none ever was. A restore of the store counts as a change of every
	// key, whether it is there or not. It never goes down, also not by compaction,
	// which may raise it (to the revision of another key's deletion) once very
	// many deleted keys had to be forgotten.
	LastChange int64
	// Age bounds how old the answer may be; 0 for a linearizable read. A stale
	// read on a leader with a quorum has age 0 too.
	Age time.Duration
}
