package registry

import "time"

// Txn is one atomic step: all compares are evaluated on the state before it;
// if every one holds the Then operations run, else the Else operations, in
// order, each seeing what the ones before it wrote. Either all of a branch
// takes effect, in one revision of each space it writes, or none of it.
//
// A key written more than once in one transaction ends as the last write left
// it, with one event.
type Txn struct {
	Compare []Compare
	Then    []Op
	Else    []Op
}

// CompareTarget is the field of a key that a compare looks at.
type CompareTarget uint8

// The fields a compare can look at, and the operand each takes.
const (
	CompareVersion    CompareTarget = iota // Int
	CompareCreate                          // Int: CreateRevision; 0 is "does not exist"
	CompareMod                             // Int: ModRevision
	CompareValue                           // Bytes; false for a missing key, whatever the operator
	CompareLease                           // Int: the LeaseID
	CompareFlags                           // Uint
	CompareLockHolder                      // Int: the LeaseID that holds the lock; 0 is "free"
	CompareLockCount                       // Uint
)

// CompareResult is the operator of a compare.
type CompareResult uint8

// The operators of a compare.
const (
	Equal CompareResult = iota
	NotEqual
	Greater
	Less
)

// Compare is a condition on one key, or on every key of a range: it holds if
// it holds for each. A key that does not exist, and so an empty range, compares
// as one whose every number is zero.
type Compare struct {
	Space Space
	KeyRange
	Target CompareTarget
	Result CompareResult

	// One of these is the operand, by Target.
	Int   int64
	Uint  uint64
	Bytes []byte
}

// Op is one operation of a transaction: exactly one field is set.
type Op struct {
	Range  *RangeRequest
	Put    *PutRequest
	Delete *DeleteRequest
	// Txn nests. Its compares too are evaluated on the state before the
	// outermost transaction.
	Txn *Txn
	// Require aborts the whole transaction, leaving no trace, unless it holds
	// on the state as the operations before it left it. The transaction then
	// fails with a *RequireError.
	Require *Compare
	// Grant makes a lease, which the operations after it can name.
	Grant *GrantRequest
}

// GrantRequest makes a lease as part of a transaction, so that there is never the one
// without the other.
type GrantRequest struct {
	// ID is the caller's choice, other than 0, and at random: an id that belonged to
	// another lease a moment ago may yet be ended in its place. If there is a lease of
	// that id the transaction fails with ErrLeaseExists, unless IfAbsent leaves it as it is.
	ID       LeaseID
	IfAbsent bool
	// TTL is the time to live; NoTTL never runs out. ErrInvalidTTL as for GrantLease.
	TTL time.Duration
	// After is a lease at whose end this one's time begins; until then it does not run
	// out. If it holds nothing by then it ends at once. One lease is named by one other
	// at most, and waits for none itself (ErrInvalid); it must exist (ErrLeaseNotFound). 0 begins
	// now.
	After LeaseID
	// DeleteLocked makes the lease's end delete the keys that it has locked, which
	// otherwise are freed.
	DeleteLocked bool
}

// LockAction is what a put does to the key's lock.
type LockAction uint8

// What a put can do to the key's lock.
const (
	// LockKeep leaves the lock as it is.
	LockKeep LockAction = iota
	// LockAcquire makes PutRequest.Holder the holder and raises the count,
	// unless it holds the lock already. Whether it may is for a compare to say.
	LockAcquire
	// LockRelease frees the lock; the count stays.
	LockRelease
	// LockForget keeps the holder and sets the count to 0, as a plain HTTP put
	// on a held key does.
	LockForget
)

// PutRequest writes one key, creating it if need be.
type PutRequest struct {
	Space Space
	Key   string
	Value []byte
	// Lease attaches the key to a live lease, which it then ends with; 0
	// detaches it. An unknown lease fails with ErrLeaseNotFound.
	Lease LeaseID
	Flags uint64

	// KeepValue, KeepLease and KeepFlags leave that field as the key has it.
	// KeepValue and KeepLease fail with ErrKeyNotFound if there is no such key;
	// KeepFlags takes Flags then.
	KeepValue bool
	KeepLease bool
	KeepFlags bool

	Lock   LockAction
	Holder LeaseID

	// IfChanged writes only if the key would come to differ in value, lease,
	// flags or lock. It is decided when the transaction is applied. A put
	// that writes nothing moves no revision and wakes nobody.
	IfChanged bool
	// PrevKV asks for the key as it was before.
	PrevKV bool
}

// DeleteRequest deletes the keys of a range.
type DeleteRequest struct {
	Space Space
	KeyRange
	// PrevKV asks for the keys as they were before.
	PrevKV bool
}

// TxnResult is what a transaction did.
type TxnResult struct {
	// Succeeded says that every compare held, so that Then ran.
	Succeeded bool
	// Results has one element for each operation of the branch that ran.
	Results []OpResult
	// Revisions is where each space stood after the transaction.
	Revisions Revisions
}

// OpResult is what one operation of a transaction did; the field of the
// operation's own kind is set. Require and Grant leave none.
type OpResult struct {
	Range  *RangeResult
	Put    *PutResult
	Delete *DeleteResult
	Txn    *TxnResult
}

// PutResult is what a put did.
type PutResult struct {
	// Revision is the space's revision after the put.
	Revision int64
	// Written is false if IfChanged found nothing to write.
	Written bool
	Prev    *KeyValue
}

// DeleteResult is what a delete did.
type DeleteResult struct {
	// Revision is the space's revision after the delete.
	Revision int64
	Deleted  int64
	Prev     []KeyValue
}

// Writes reports whether any operation of either branch, nested ones included,
// is a put, a delete or a grant. A transaction that does not write needs no replication.
func (t *Txn) Writes() bool {
	return writes(t.Then) || writes(t.Else)
}

// Freshness is how fresh the state must be that a transaction which does not write
// reads: Stale if it has reads and each of either branch, nested ones included, is
// Stale. Compares have no say in it, as etcd has it.
func (t *Txn) Freshness() Consistency {
	if any, all := staleReads(t.Then, t.Else); any && all {
		return Stale
	}
	return Linearizable
}

// staleReads says whether there are reads, and whether all of them are Stale.
func staleReads(branches ...[]Op) (any, all bool) {
	all = true
	for _, ops := range branches {
		for i := range ops {
			switch op := &ops[i]; {
			case op.Range != nil:
				any = true
				all = all && op.Range.Consistency == Stale
			case op.Txn != nil:
				some, every := staleReads(op.Txn.Then, op.Txn.Else)
				any, all = any || some, all && every
			}
		}
	}
	return any, all
}

func writes(ops []Op) bool {
	for i := range ops {
		if ops[i].Put != nil || ops[i].Delete != nil || ops[i].Grant != nil || ops[i].Txn != nil && ops[i].Txn.Writes() {
			return true
		}
	}
	return false
}
