package raftstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
	"herald/registry"
)

// askMembersFor bounds how long the servers of the cluster are asked how they are.
const askMembersFor = time.Second

// answered is what one server of the configuration said.
type answered struct {
	raft.Server
	said description
	err  error // why it said nothing
}

// askMembers asks every server of the configuration how it is, all at once. It returns them
// as the configuration has them.
func (s *Store) askMembers(ctx context.Context) []answered {
	ctx, cancel := context.WithTimeout(ctx, askMembersFor)
	defer cancel()
	servers := s.raft.GetConfiguration().Configuration().Servers
	all := make([]answered, len(servers))
	var wg sync.WaitGroup
	for i, srv := range servers {
		all[i].Server = srv
		if string(srv.ID) == s.self() {
			all[i].said = s.describe()
			continue
		}
		wg.Go(func() {
			to := s.target(string(srv.ID), string(srv.Address))
			all[i].said, all[i].err = s.askDescription(ctx, to)
			if errors.Is(all[i].err, peer.ErrLost) && ctx.Err() == nil {
				// The connection had ended with the server's last run.
				all[i].said, all[i].err = s.askDescription(ctx, to)
			}
		})
	}
	wg.Wait()
	return all
}

// votes reports whether a server votes, and takes part: it answers, and its disk does too.
func (a *answered) votes() (voter, alive bool) {
	return a.Suffrage == raft.Voter, a.err == nil && !a.said.Lost
}

// Members implements registry.Cluster.
func (s *Store) Members(ctx context.Context) ([]registry.Member, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	all := s.askMembers(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	leader := s.known.Load().id
	if leader == "" {
		var others []description
		for i := range all {
			if all[i].err == nil {
				others = append(others, all[i].said)
			}
		}
		leader = leaderAmong(others, s.dir.charter().ClusterID).Node
	}
	newest := uint64(0) // the leader's last index, if it answers
	for i := range all {
		if string(all[i].ID) == leader {
			newest = all[i].said.LastIndex
		}
	}
	members := make([]registry.Member, len(all))
	for i := range all {
		members[i] = s.member(&all[i], leader, newest)
	}
	slices.SortFunc(members, func(a, b registry.Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return members, nil
}

// Servers implements registry.Cluster.
func (s *Store) Servers() []registry.Member {
	servers := s.raft.GetConfiguration().Configuration().Servers
	leader := s.known.Load().id
	members := make([]registry.Member, len(servers))
	for i, srv := range servers {
		members[i] = s.unasked(srv, leader)
		if members[i].ID == s.self() {
			members[i].Name = s.cfg.NodeName
		}
	}
	slices.SortFunc(members, func(a, b registry.Member) int { return cmp.Compare(a.ID, b.ID) })
	return members
}

// unasked is what is known of a server without asking it.
func (s *Store) unasked(srv raft.Server, leader string) registry.Member {
	known := s.members.book.get(string(srv.ID))
	m := registry.Member{
		ID:       string(srv.ID),
		Name:     known.Name,
		Address:  string(srv.Address),
		Suffrage: suffrage(srv),
		Leader:   string(srv.ID) == leader,
	}
	if isDisplaced(m.Address) {
		m.Address = known.Address
	}
	return m
}

func (s *Store) member(a *answered, leader string, newest uint64) registry.Member {
	m := s.unasked(a.Server, leader)
	if a.err != nil {
		m.Error = a.err.Error()
		return m
	}
	d := &a.said
	m.Alive = true
	m.Name, m.Version = d.Name, d.Version
	m.Term, m.LastIndex, m.Applied = d.Term, d.LastIndex, d.Applied
	if d.Lost {
		m.Error = errMuted.Error()
	}
	if m.LastIndex < newest {
		m.Lag = newest - m.LastIndex
	}
	return m
}
