package registry

import (
	"errors"
	"fmt"
)

// Reading and writing keys.
var (
	// ErrEmptyKey is returned when a put, a delete or a read of one key has no key.
	ErrEmptyKey = errors.New("key is empty")
	// ErrKeyNotFound is returned when a put is to keep a field of a key that
	// does not exist.
	ErrKeyNotFound = errors.New("key not found")
	// ErrTooLarge is returned when a request is over the store's size limit. Wrapped
	// with the size and the limit.
	ErrTooLarge = errors.New("request is too large")
	// ErrFutureRevision is returned when a read or a compaction names a revision
	// the space has not reached.
	ErrFutureRevision = errors.New("required revision is a future revision")
	// ErrCompacted is what a *CompactedError is, for errors.Is.
	ErrCompacted = errors.New("required revision has been compacted")
	// ErrRequire is what a *RequireError is, for errors.Is.
	ErrRequire = errors.New("a requirement of the transaction does not hold")
	// ErrInvalid is returned when a request makes no sense in itself (an unknown
	// space, an operation with nothing in it). Wrapped with what is wrong.
	ErrInvalid = errors.New("invalid request")
	// ErrResourceExhausted is returned to puts while the store is over its memory
	// limit. Deletes, revokes and keepalives go through, and heal it.
	ErrResourceExhausted = errors.New("memory limit reached: delete keys, or raise the limit")
)

// Leases.
var (
	// ErrLeaseNotFound is returned when a lease does not exist, or has ended.
	ErrLeaseNotFound = errors.New("lease not found")
	// ErrLeaseExists is returned when a lease is granted under an id that is taken.
	ErrLeaseExists = errors.New("lease already exists")
	// ErrInvalidTTL is returned when a time to live is out of range. Wrapped with
	// the value and the range.
	ErrInvalidTTL = errors.New("invalid time to live")
)

// Watching.
var (
	// ErrWatchClosed is returned by Next after Close.
	ErrWatchClosed = errors.New("watcher is closed")
	// ErrWatchReset is returned by Next when the store was restored from a
	// snapshot: what was watched may have changed without events.
	ErrWatchReset = errors.New("store was restored: read again, then watch anew")
)

// Replication.
var (
	// ErrNoLeader is returned when no leader is known. Nothing was written.
	ErrNoLeader = errors.New("no leader: the cluster is electing one or has lost its quorum")
	// ErrUnavailable is returned when the leader could not take the request: it lost
	// leadership, or cannot confirm it. Nothing was written.
	ErrUnavailable = errors.New("leader cannot serve the request now")
	// ErrTimeout is returned when no answer came in time. A write may have taken
	// effect, or may yet.
	ErrTimeout = errors.New("request timed out; a write may still take effect")
	// ErrStopped is returned once the store is closing.
	ErrStopped = errors.New("store is stopped")
	// ErrDiskFull is returned to writes while the leader's disk has no room for the
	// log. Nothing was written; reads go on. It heals when there is space. Wrapped
	// with the path and the space left.
	ErrDiskFull = errors.New("no space left for the log")
)

// Membership.
var (
	// ErrMemberNotFound is returned when no server of that id is part of the cluster.
	ErrMemberNotFound = errors.New("no such server in the cluster")
	// ErrMembership is returned when the cluster cannot change so. Wrapped with why.
	ErrMembership = errors.New("the cluster cannot change so")
	// ErrQuorum is returned when too few of the servers that would vote after a change are
	// alive. It comes with ErrMembership.
	ErrQuorum = errors.New("too few voting servers would be alive")
	// ErrVoter is returned when a server is to get a vote that has one.
	ErrVoter = errors.New("server votes already")
	// ErrNotInSync is returned when a server is to get a vote that does not answer, or has
	// not caught up with the leader.
	ErrNotInSync = errors.New("server has not caught up with the leader")
	// ErrForeignCluster is returned when a server that was asked belongs to another
	// cluster, or is another server than was meant.
	ErrForeignCluster = errors.New("a server of another cluster, or another server, answered")
)

// Data on disk. Each is wrapped with the path, and what to do.
var (
	// ErrDataDirLocked is returned when another process uses the data directory.
	ErrDataDirLocked = errors.New("data directory is in use by another process")
	// ErrDataDirOwner is returned when the data directory belongs to another node.
	ErrDataDirOwner = errors.New("data directory belongs to another node")
	// ErrFormat is returned for a data directory, snapshot or command that a newer
	// version wrote. It is left untouched.
	ErrFormat = errors.New("written by a newer version of herald")
	// ErrCorrupt is returned when stored bytes are not what was written.
	ErrCorrupt = errors.New("stored data is corrupt")
)

// Services.
var (
	// ErrServiceNotFound is returned when no service of that id is registered here.
	ErrServiceNotFound = errors.New("unknown service id")
	// ErrCheckNotFound is returned when no check of that id is registered here.
	ErrCheckNotFound = errors.New("unknown check id")
	// ErrNodeNotFound is returned when no node of that name is registered.
	ErrNodeNotFound = errors.New("unknown node")
	// ErrNodeTaken is returned when a node of that name is registered by another, one
	// with another node ID. Nothing was written. Wrapped with the ID and what to do.
	ErrNodeTaken = errors.New("node name is taken")
	// ErrNotAdvertised is returned for changes of a node that is not as it was
	// advertised last. All of the node's records are to be advertised.
	ErrNotAdvertised = errors.New("the node's record is not the advertised one")
	// ErrDuplicateService is returned when two definitions claim one service id.
	ErrDuplicateService = errors.New("duplicate service id")
	// ErrNotTTLCheck is returned when a status is reported for a check that is not
	// of kind ttl.
	ErrNotTTLCheck = errors.New("check has no ttl")
	// ErrInvalidDefinition is returned when a service or check definition is wrong.
	// Wrapped with the field and what it should be.
	ErrInvalidDefinition = errors.New("invalid definition")
	// ErrExecDisabled is returned when a check that runs a command is registered with
	// an agent that does not allow it.
	ErrExecDisabled = errors.New("checks that run commands are disabled on this agent for remote calls")
)

// CompactedError is returned when a revision below what is kept is asked for.
// It is ErrCompacted to errors.Is.
type CompactedError struct {
	Space Space
	// Lowest is the lowest revision that can be read and watched from.
	Lowest int64
}

func (e *CompactedError) Error() string {
	return fmt.Sprintf("%v: the lowest revision kept in space %s is %d", ErrCompacted, e.Space, e.Lowest)
}

// Is makes errors.Is(err, ErrCompacted) hold.
func (e *CompactedError) Is(target error) bool { return target == ErrCompacted }

// RequireError says which requirement of a transaction did not hold. It is
// ErrRequire to errors.Is.
type RequireError struct {
	// Op is the position of the requirement among the operations of the branch
	// that ran, from 0.
	Op int
	// Have is the first key that failed the compare, as it stood; its Key alone
	// is set if it did not exist.
	Have KeyValue
}

func (e *RequireError) Error() string {
	return fmt.Sprintf("%v: operation %d, key %q", ErrRequire, e.Op, e.Have.Key)
}

// Is makes errors.Is(err, ErrRequire) hold.
func (e *RequireError) Is(target error) bool { return target == ErrRequire }
