package raftstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

// Of two or three voters, one that asks for a read index has by its term confirmed the leader:
// here nobody else can, since the leader is cut off and not aware of it yet.
func TestReadIndexForAVoter(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		servers int
		node    string // "" for one that follows
		ahead   uint64 // by how much its term is above the leader's
		want    error
	}{
		{name: "one of two", servers: 2},
		{name: "one of three", servers: 3},
		{name: "one of four is no quorum", servers: 4, want: registry.ErrUnavailable},
		{name: "one of five is no quorum", servers: 5, want: registry.ErrUnavailable},
		{name: "one that may have voted again", servers: 3, ahead: 1, want: registry.ErrUnavailable},
		{name: "one that does not vote here", servers: 3, node: "stranger", want: registry.ErrUnavailable},
		{name: "the leader itself", servers: 3, node: "self", want: registry.ErrUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, tc.servers, nil)
				l := c.leader()
				settle()
				leads := c.stores[l]
				term, _ := leads.leads()
				node := tc.node
				switch node {
				case "":
					node = c.stores[(l+1)%tc.servers].self()
				case "self":
					node = leads.self()
				}
				c.isolate(l)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				index, err := localLeader{leads}.readIndexFor(ctx, node, term+tc.ahead)
				if !errors.Is(err, tc.want) {
					t.Fatalf("%v, want %v", err, tc.want)
				}
				if err == nil && index != leads.raft.CommitIndex() {
					t.Errorf("index %d, want the commit index %d", index, leads.raft.CommitIndex())
				}
			})
		})
	}
}
