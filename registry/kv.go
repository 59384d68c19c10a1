package registry

// KeyValue is a key as it stood at one revision.
//
// Value is shared with the store and must not be modified.
type KeyValue struct {
	Key   string
	Value []byte

	// CreateRevision is the revision at which the key last came into being,
	// ModRevision the one that last wrote it. Version counts the writes since
	// CreateRevision, from 1; all three are 0 for a key that does not exist.
	CreateRevision int64
	ModRevision    int64
	Version        int64

	// Lease is the lease the key ends with, or 0.
	Lease LeaseID
	// Flags is an opaque number that belongs to the writer.
	Flags uint64
	// Lock says who holds the key, if anyone does.
	Lock Lock
}

// Lock is the advisory lock that the HTTP API knows on every key.
type Lock struct {
	// Holder is the lease that holds the lock, or 0 when it is free. When the
	// lease ends the lock is released; the key stays, unless it is also
	// attached to that lease.
	Holder LeaseID
	// Count is how many times the lock has been taken.
	Count uint64
}

// KeyRange is a set of adjacent keys, in byte order, in etcd's notation:
//
//	{Start: "a"}             the key "a" alone
//	{Start: "a", End: "c"}   every key k with "a" <= k < "c"
//	{Start: "a", End: "\x00"} every key k with "a" <= k
//
// An End that does not lie above Start makes an empty range, not an error.
type KeyRange struct {
	Start string
	End   string
}

// endOfKeys as an End means "no upper bound".
const endOfKeys = "\x00"

// One is the range of exactly one key.
func One(key string) KeyRange { return KeyRange{Start: key} }

// From is the range of every key at or above start.
func From(start string) KeyRange { return KeyRange{Start: start, End: endOfKeys} }

// All is the range of every key.
func All() KeyRange { return From("") }

// Prefix is the range of every key that begins with p; Prefix("") is All.
func Prefix(p string) KeyRange {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] < 0xff {
			return KeyRange{Start: p, End: p[:i] + string([]byte{p[i] + 1})}
		}
	}
	return From(p)
}

// IsOne reports whether the range is of a single key.
func (r KeyRange) IsOne() bool { return r.End == "" }

// Unbounded reports whether the range has no upper bound.
func (r KeyRange) Unbounded() bool { return r.End == endOfKeys }

// Empty reports whether no key can lie in the range.
func (r KeyRange) Empty() bool {
	return r.End != "" && r.End != endOfKeys && r.End <= r.Start
}

// Contains reports whether key lies in the range.
func (r KeyRange) Contains(key string) bool {
	switch r.End {
	case "":
		return key == r.Start
	case endOfKeys:
		return key >= r.Start
	default:
		return key >= r.Start && key < r.End
	}
}
