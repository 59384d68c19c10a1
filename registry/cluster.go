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
	Name     string   `json:"name"`
	Address  string   `json:"address"` // of the peer port
	Suffrage Suffrage `json:"suffrage"`
	Leader   bool     `json:"leader"`
}

// Status is how the cluster looks from this server.
type Status struct {
	ID        string `json:"id"`
	ClusterID string `json:"cluster_id"`
	Leader    string `json:"leader"`         // the leader's id, "" if none is known
	LeaderAt  string `json:"leader_address"` // its peer address
	IsLeader  bool   `json:"is_leader"`
	Term      uint64 `json:"term"`
	// LastIndex is the last entry in this server's log, Committed the last known
	// to be on a quorum, Applied the last that its state contains.
	LastIndex uint64 `json:"last_index"`
	Committed uint64 `json:"committed"`
	Applied   uint64 `json:"applied"`
	// LastContact is the time since this server heard from the leader, 0 on the
	// leader itself.
	LastContact time.Duration `json:"last_contact"`
	// Ready says that a leader is known and this server has caught up with it
	// once since it started.
	Ready     bool      `json:"ready"`
	Revisions Revisions `json:"revisions"`
}

// Cluster is who the servers are.
type Cluster interface {
	Status() Status
	Members(ctx context.Context) ([]Member, error)
	// WaitReady blocks until Status().Ready or ctx ends.
	WaitReady(ctx context.Context) error
}
