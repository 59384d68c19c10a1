package raftstore

import (
	"context"
	"math"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
)

// Status implements registry.Cluster.
func (s *Store) Status() registry.Status {
	v := s.machine.View()
	addr, id := s.raft.LeaderWithID()
	st := registry.Status{
		ID:        s.dir.id.NodeID,
		ClusterID: s.dir.id.ClusterID,
		Leader:    string(id),
		LeaderAt:  string(addr),
		IsLeader:  s.raft.State() == raft.Leader,
		Term:      s.raft.CurrentTerm(),
		LastIndex: s.raft.LastIndex(),
		Committed: s.raft.CommitIndex(),
		Applied:   v.Applied(),
		Revisions: v.Revisions(),
	}
	select {
	case <-s.ready:
		st.Ready = true
	default:
	}
	if last := s.raft.LastContact(); !st.IsLeader && !last.IsZero() {
		st.LastContact = time.Since(last)
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

// WaitReady implements registry.Cluster.
func (s *Store) WaitReady(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return s.open()
	}
}

func (s *Store) becomeReady() { s.readyOnce.Do(func() { close(s.ready) }) }

// age bounds how old the local view may be.
func (s *Store) age() time.Duration {
	if _, ok := s.leadsAlone(); ok {
		return 0
	}
	if _, ok := s.leads(); ok {
		// As of the last confirmation by a quorum, a lease tick ago or less; longer
		// ago, somebody else may lead and write.
		if since := time.Since(s.started) - time.Duration(s.confirmedAt.Load()); since > 2*s.cfg.Leases.Tick {
			return since
		}
		return 0
	}
	last := s.raft.LastContact()
	if last.IsZero() {
		return math.MaxInt64 // nothing was heard since it started
	}
	return time.Since(last)
}
