package registry

import (
	"context"
	"io"
	"time"
)

// Operator changes who the servers are, and saves and restores what they hold. Any
// server takes any of these calls and passes on what only the leader can do.
//
// Errors of all: ErrNoLeader, ErrUnavailable, ErrTimeout (the change may still
// come), ErrStopped.
type Operator interface {
	// Join lets this server, which is part of no cluster, into the cluster that the server at
	// a peer address is part of. It returns when the leader has taken it in, as one that
	// does not vote yet; the leader lets it vote when it has caught up.
	// ErrMembership if it is part of a cluster already.
	Join(ctx context.Context, address string) error
	// Leave takes this server out of the cluster, after it has handed on
	// leadership if it had it. The process goes on, and knows no leader any more.
	// ErrMembership if it is the last that votes.
	Leave(ctx context.Context) error
	// Remove takes a server out, by id, alive or not. ErrMemberNotFound, ErrMembership, with
	// ErrQuorum if those that are left could not go on.
	Remove(ctx context.Context, id string) error
	// Transfer hands leadership to a server that votes, by id, or with "" to the one that
	// is closest behind. It returns when somebody else leads, or nothing was to be done.
	// ErrMemberNotFound, ErrMembership.
	Transfer(ctx context.Context, id string) error

	// Promote gives a server a vote, by id, that would get one by itself once it has kept
	// up for a while. ErrMemberNotFound, ErrVoter, ErrNotInSync.
	Promote(ctx context.Context, id string) error
	// Readdress says where a server is, by id, host:port: the others look for it there
	// until it says otherwise itself. Nothing changes for one that answers where it is: it has
	// said so. ErrMemberNotFound; ErrMembership if another server is there; ErrInvalid for
	// what is no address.
	Readdress(ctx context.Context, id, address string) error

	// SaveSnapshot writes everything in the store, as an archive that names what it is
	// and ends with a checksum. stale takes it from this server as it is; otherwise it
	// contains every write acknowledged before the call.
	SaveSnapshot(ctx context.Context, w io.Writer, stale bool) (SnapshotInfo, error)
	// RestoreSnapshot replaces everything in the store by an archive's content.
	// Revisions move forward: each space's is above both what it was and what the archive
	// has. Watchers end with ErrWatchReset, and leases start anew.
	// ErrCorrupt, ErrFormat: nothing has changed.
	RestoreSnapshot(ctx context.Context, r io.Reader) (SnapshotInfo, error)
}

// SnapshotInfo is what a snapshot archive says of itself.
type SnapshotInfo struct {
	Format    int       `json:"format_version"`
	Version   string    `json:"herald_version"` // that wrote it
	ClusterID string    `json:"cluster_id"`
	NodeID    string    `json:"node_id"` // of the server that wrote it
	Created   time.Time `json:"created"`
	// Index is the last log entry that it contains, in term Term.
	Index     uint64    `json:"index"`
	Term      uint64    `json:"term"`
	Revisions Revisions `json:"revisions"`
	// Keys counts keys by space, Leases the leases.
	Keys   map[string]int64 `json:"keys"`
	Leases int64            `json:"leases"`
	Bytes  int64            `json:"bytes"`  // of the state, as encoded
	SHA256 string           `json:"sha256"` // of the same, in hex
}
