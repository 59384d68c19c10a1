package raftstore

import (
	"context"

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
		Revisions: v.Revisions(),
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

// Members implements registry.Cluster. It reads the configuration that this
// server knows. Names of other servers are not known to it.
func (s *Store) Members(ctx context.Context) ([]registry.Member, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	_, leader := s.raft.LeaderWithID()
	servers := s.raft.GetConfiguration().Configuration().Servers
	members := make([]registry.Member, 0, len(servers))
	for _, srv := range servers {
		m := registry.Member{
			ID:       string(srv.ID),
			Address:  string(srv.Address),
			Suffrage: registry.NonVoter,
			Leader:   srv.ID == leader,
		}
		if srv.Suffrage == raft.Voter {
			m.Suffrage = registry.Voter
		}
		if m.ID == s.dir.id.NodeID {
			m.Name = s.cfg.NodeName
		}
		members = append(members, m)
	}
	return members, nil
}
