package raftstore

import (
	"github.com/hashicorp/raft"

	"herald/registry"
)

// Status implements registry.Cluster.
func (s *Store) Status() registry.Status {
	v := s.machine.View()
	addr, id := s.raft.LeaderWithID()
	st := registry.Status{
		ID:        s.dir.id.NodeID,
		Leader:    string(id),
		LeaderAt:  string(addr),
		IsLeader:  s.raft.State() == raft.Leader && !s.yielded.Load(),
		Term:      s.raft.CurrentTerm(),
		LastIndex: s.raft.LastIndex(),
		Committed: s.raft.CommitIndex(),
		Applied:   v.Applied(),
		Revisions: s.revisions(),
		Compacted: v.Floors(),
		Bytes:     v.Size().Memory(),
	}
	if s.yielded.Load() { // raft waits for the disk, and hears of nobody
		known := s.known.Load()
		st.Leader, st.LeaderAt = known.id, known.address
	}
	if c := s.dir.charter(); !c.Left {
		st.ClusterID = c.ClusterID
	}
	select {
	case <-s.ready:
		st.Ready = true
	default:
	}
	if !st.IsLeader {
		st.LastContact = s.age()
	}
	return st
}

// Term implements registry.Cluster.
func (s *Store) Term() uint64 { return s.raft.CurrentTerm() }
