package registry

import (
	"context"
	"time"
)

// Suffrage is a member's say in elections.
type Suffrage string

// What say a member has.
const (
	Voter    Suffrage = "voter"
	NonVoter Suffrage = "non-voter"
)

// Member is one server of the cluster.
type Member struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`    // "" if it was never heard
	Address  string   `json:"address"` // of the peer port
	Suffrage Suffrage `json:"suffrage"`
	Leader   bool     `json:"leader"`

	// Alive says that the member answered when it was asked; the fields below are what
	// it said. Error is why it did not.
	Alive   bool   `json:"alive"`
	Error   string `json:"error,omitempty"`
	Version string `json:"version,omitempty"`
	Term    uint64 `json:"term,omitempty"`
	// LastIndex is the last entry in its log, Applied the last that its state contains.
	LastIndex uint64 `json:"last_index,omitempty"`
	Applied   uint64 `json:"applied,omitempty"`
	// Lag is how many entries its log is behind the leader's.
	Lag uint64 `json:"lag"`
}

// Tolerance is how many servers a cluster can lose.
type Tolerance struct {
	Voters int `json:"voters"`
	Quorum int `json:"quorum"` // how many voters must be alive to write
	Alive  int `json:"alive"`  // how many are
	// Failures is how many more voters may fail now before writes stop; below 0 they
	// have stopped.
	Failures int `json:"failures"`
	// Even says that the number of voters is even: one of them buys nothing, since
	// one fewer would survive as many failures.
	Even bool `json:"even"`
}

// ToleranceOf says how many servers of a cluster may fail.
func ToleranceOf(members []Member) Tolerance {
	var t Tolerance
	for i := range members {
		if members[i].Suffrage != Voter {
			continue
		}
		t.Voters++
		if members[i].Alive {
			t.Alive++
		}
	}
	t.Quorum = t.Voters/2 + 1
	t.Failures = t.Alive - t.Quorum
	t.Even = t.Voters > 0 && t.Voters%2 == 0
	return t
}

// Tending is how a cluster looks after its servers.
type Tending struct {
	// StabilizationTime is how long a new server must have answered before it gets a
	// vote; a cluster of fewer than three may take less.
	StabilizationTime time.Duration
	// DeadServerAfter is how long a server may be silent before it is removed, where
	// MinVoters others vote; 0 is never, unless another takes its place.
	DeadServerAfter time.Duration
}

// MinVoters is how many votes are left at least when servers are removed that have been
// silent for long: with fewer, none may fail.
const MinVoters = 3

// Status is how the cluster looks from this server.
type Status struct {
	ID        string `json:"id"`
	ClusterID string `json:"cluster_id"`     // "" while it is part of none
	Leader    string `json:"leader"`         // the leader's id, "" if none is known
	LeaderAt  string `json:"leader_address"` // its peer address
	IsLeader  bool   `json:"is_leader"`
	Term      uint64 `json:"term"`
	// LastIndex is the last entry in this server's log, Committed the last known
	// to be on a quorum, Applied the last that its state contains.
	LastIndex uint64 `json:"last_index"`
	Committed uint64 `json:"committed"`
	Applied   uint64 `json:"applied"`
	// LastContact is how old this server's state may be: the time since it last
	// contained all that the leader had committed, 0 on the leader itself.
	LastContact time.Duration `json:"last_contact"`
	// Ready says that a leader is known and this server has caught up with it
	// once since it started.
	Ready bool `json:"ready"`
	// Bytes is about how much memory the state takes, history included.
	Bytes int64 `json:"bytes"`
	// Revisions is where each space stands as far as this server knows. Its state may be
	// behind that if it has acknowledged a write which the leader did on its behalf.
	Revisions Revisions `json:"revisions"`
	// Compacted is the lowest revision of each space that can be read here, 0 where all can. It
	// is for metrics.
	Compacted Revisions `json:"-"`
}

// Cluster is who the servers are.
type Cluster interface {
	Status() Status
	// Term is Status().Term, for those who ask very often. It never goes down.
	Term() uint64
	// Servers returns who the servers are, by id, as this server knows it now, without asking
	// anybody: of each its ID, Name if it was ever heard, Address, Suffrage and Leader.
	Servers() []Member
	// Members asks every server how it is, for a second at most, and returns them by
	// name. It needs no leader.
	Members(ctx context.Context) ([]Member, error)
	// WaitReady blocks until Status().Ready or ctx ends.
	WaitReady(ctx context.Context) error
}
