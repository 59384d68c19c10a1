package api

import "herald/registry"

// Members is what GET /v1/members answers.
type Members struct {
	// Status is how the cluster looks from the server that answers.
	Status    registry.Status    `json:"status"`
	Members   []registry.Member  `json:"members"`
	Tolerance registry.Tolerance `json:"tolerance"`
}

// RaftServer is a server of the replicated log's configuration.
type RaftServer struct {
	ID              string
	Node            string
	Address         string
	Leader          bool
	Voter           bool
	ProtocolVersion string
}

// RaftConfiguration is what GET /v1/operator/raft/configuration answers.
type RaftConfiguration struct {
	Servers []RaftServer
	// Index is the last log entry of the server that answers.
	Index uint64
}

// Transferred is what POST /v1/operator/raft/transfer-leader answers.
type Transferred struct{ Success bool }
