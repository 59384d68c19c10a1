package grpcserver

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// servers are a cluster and its operator, of servers that are not there but for one, which
// the store is of. What an operator asks of them they do, as a real cluster would.
type servers struct {
	registry.Operator // what is not below is not asked for
	*storetest.Memory

	mu       sync.Mutex
	all      []registry.Member
	leader   string
	dead     []string
	settled  []string     // who answer where they are
	archive  string       // what SaveSnapshot writes
	archived func() error // called when it has written half of that, if not nil
}

// cluster is a cluster of servers called n1, n2 and so on, of which the store's own is the
// first and leads; those from learner on do not vote.
func cluster(t testing.TB, n, learner int) *servers {
	s := &servers{Memory: storetest.NewMemory(t)}
	own := s.Memory.Servers()[0]
	own.Address = "10.0.0.1:7400"
	s.all, s.leader = []registry.Member{own}, own.ID
	for i := 2; i <= n; i++ {
		m := registry.Member{ID: fmt.Sprintf("id-%d", i), Name: fmt.Sprintf("n%d", i), Address: fmt.Sprintf("10.0.0.%d:7400", i), Suffrage: registry.Voter}
		if i >= learner && learner > 0 {
			m.Suffrage = registry.NonVoter
		}
		s.all = append(s.all, m)
	}
	return s
}

// use is for open: the door's cluster and operator are these.
func (s *servers) use(_ *Config, h *plugin.Host) { h.Store, h.Cluster, h.Operator = s.Memory, s, s }

func (s *servers) Servers() []registry.Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.all)
	for i := range all {
		all[i].Leader = all[i].ID == s.leader
	}
	return all
}

func (s *servers) Status() registry.Status {
	st := s.Memory.Status()
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.Leader != "" {
		st.Leader, st.IsLeader = s.leader, s.leader == st.ID
	}
	return st
}

// change changes one server, by what it is known as to registry.Operator.
func (s *servers) change(id string, f func(i int) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.all, func(m registry.Member) bool { return m.ID == id })
	if i < 0 {
		return fmt.Errorf("%w: server %s", registry.ErrMemberNotFound, id)
	}
	return f(i)
}

func (s *servers) Remove(_ context.Context, id string) error {
	return s.change(id, func(i int) error {
		voters, alive := 0, 0
		for _, m := range s.all {
			if m.ID != id && m.Suffrage == registry.Voter {
				voters++
				if !slices.Contains(s.dead, m.ID) {
					alive++
				}
			}
		}
		switch {
		case voters == 0:
			return fmt.Errorf("%w: the last that votes", registry.ErrMembership)
		case alive < voters/2+1:
			return fmt.Errorf("%w: %w", registry.ErrMembership, registry.ErrQuorum)
		}
		s.all = slices.Delete(s.all, i, i+1)
		return nil
	})
}

func (s *servers) Transfer(_ context.Context, id string) error {
	return s.change(id, func(i int) error {
		if s.all[i].Suffrage != registry.Voter || slices.Contains(s.dead, id) {
			return fmt.Errorf("%w: server %s cannot lead", registry.ErrMembership, id)
		}
		s.leader = id
		return nil
	})
}

func (s *servers) Promote(_ context.Context, id string) error {
	return s.change(id, func(i int) error {
		switch {
		case s.all[i].Suffrage == registry.Voter:
			return registry.ErrVoter
		case slices.Contains(s.dead, id):
			return registry.ErrNotInSync
		}
		s.all[i].Suffrage = registry.Voter
		return nil
	})
}

func (s *servers) Readdress(_ context.Context, id, address string) error {
	return s.change(id, func(i int) error {
		if !slices.Contains(s.settled, id) {
			s.all[i].Address = address
		}
		return nil
	})
}

func (s *servers) SaveSnapshot(_ context.Context, w io.Writer, _ bool) (registry.SnapshotInfo, error) {
	half := len(s.archive) / 2
	_, err := io.WriteString(w, s.archive[:half])
	if err == nil && s.archived != nil {
		err = s.archived()
	}
	if err == nil {
		_, err = io.WriteString(w, s.archive[half:])
	}
	return registry.SnapshotInfo{}, err
}

// until waits for something that happens by itself.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}
