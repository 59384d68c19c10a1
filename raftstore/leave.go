package raftstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
	"herald/registry"
)

// Join implements registry.Operator.
func (s *Store) Join(ctx context.Context, address string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	if err := checkHostPort("peer address to join", address); err != nil {
		return err
	}
	c := s.dir.charter()
	if c.ClusterID != "" && !c.Left {
		return fmt.Errorf("%w: this server is part of cluster %s: to join another, take it out of that and start it with an empty data directory", registry.ErrMembership, c.ClusterID)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ProposeTimeout)
	defer cancel()
	d, err := s.askDescription(ctx, peer.Target{Address: address})
	bound := c.ClusterID == "" && c.Promise != nil && c.Promise.Coordinator != s.self()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	case d.ID == s.self():
		return fmt.Errorf("%w: %s is this server's own address", registry.ErrMembership, address)
	case d.Cluster == "" || d.Left:
		return fmt.Errorf("%w: server %s is part of no cluster itself", registry.ErrMembership, d.label())
	case bound && c.Promise.ClusterID != d.Cluster:
		return fmt.Errorf("%w: this server is making another cluster, with server %s: wait for it, or start with an empty data directory and bootstrap_expect 0", registry.ErrMembership, c.Promise.Coordinator)
	}
	if c.Left {
		s.members.want(true) // and it goes on trying, should this call end first
	}
	for !bound { // a founder is expected
		err := registry.ErrNoLeader
		if d.Leader != "" {
			err = s.askIn(ctx, peer.Target{Node: d.Leader, Address: d.LeaderAddress}, true)
		}
		if err == nil {
			break
		}
		if !withoutEffect(err) || !s.pause(ctx, 5*retryPause) {
			return err
		}
		if again, err := s.askDescription(ctx, peer.Target{Address: address}); err == nil {
			d = again
		}
	}
	s.members.want(false)
	if _, err := s.dir.recharter(c, charter{ClusterID: d.Cluster}); err != nil {
		return err
	}
	if now := s.dir.charter(); now.ClusterID != d.Cluster || now.Left {
		return fmt.Errorf("%w: this server has just become part of something else", registry.ErrMembership)
	}
	s.members.wake()
	return nil
}

// pause waits, and reports whether ctx and the store go on.
func (s *Store) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.closing:
	}
	return false
}

// Leave implements registry.Operator.
//
// The data directory then says that the server has left: started again, it stays out, unless it
// has addresses to join. It keeps its id and its log, and may be taken in again.
func (s *Store) Leave(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	c := s.dir.charter()
	if c.ClusterID == "" || c.Left {
		return fmt.Errorf("%w: this server is part of no cluster", registry.ErrMembership)
	}
	s.members.want(false)
	if err := s.Remove(ctx, s.self()); err != nil {
		return err
	}
	to := c
	to.Left = true
	_, err := s.dir.recharter(c, to)
	return err
}

// Remove implements registry.Operator.
func (s *Store) Remove(ctx context.Context, id string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	asked := false
	err := s.atLeader(ctx, func(ctx context.Context, l leader) error {
		switch l := l.(type) {
		case localLeader:
			return l.remove(ctx, id)
		case remoteLeader:
			err := l.tell(ctx, methodRemove, []byte(id))
			if errors.Is(err, peer.ErrLost) && ctx.Err() == nil {
				asked = true
				// In words only: it may be asked again, whatever became of it.
				return fmt.Errorf("%w: %v", registry.ErrUnavailable, err)
			}
			return err
		}
		return s.notLeader()
	})
	switch {
	case asked && errors.Is(err, registry.ErrMemberNotFound):
		return nil // the answer that was lost said so
	case asked && err != nil && withoutEffect(err):
		return fmt.Errorf("%w: server %s may have been removed, the answer was lost: %w", registry.ErrTimeout, id, err)
	}
	return err
}

func (s *Store) handleRemove(ctx context.Context, l localLeader, req []byte) ([]byte, error) {
	return nil, l.remove(ctx, string(req))
}

// atLeader carries out what an operator asked for with whoever leads, within the store's timeout
// also when this server does: a change may wait for a disk that hangs, or for another change.
func (s *Store) atLeader(ctx context.Context, do func(context.Context, leader) error) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	_, err := ask(ctx, s, func(ctx context.Context, l leader) (struct{}, error) { return struct{}{}, do(ctx, l) })
	return err
}

// tell is call for what may itself change who leads.
func (r remoteLeader) tell(ctx context.Context, method peer.Method, req []byte) error {
	ctx, cancel := context.WithTimeout(ctx, r.s.cfg.ProposeTimeout)
	defer cancel()
	_, err := r.s.port.Call(ctx, r.s.target(r.known.id, r.known.address), method, req)
	switch {
	case errors.Is(err, peer.ErrNotSent):
		return fmt.Errorf("%w: cannot reach the leader, server %s: %w", registry.ErrUnavailable, r.known.id, err)
	case errors.Is(err, peer.ErrLost):
		return fmt.Errorf("%w: lost touch with the leader, server %s: %w", registry.ErrTimeout, r.known.id, err)
	}
	return err
}

// remove takes a server out of the configuration.
func (l localLeader) remove(ctx context.Context, id string) error {
	all := l.askMembers(ctx)
	if err := mayRemove(all, id); err != nil {
		return err
	}
	if id == l.self() {
		// Whoever comes next takes it out: a leader that removed itself would leave the cluster without one.
		if err := l.handOn(ctx, all, ""); err != nil {
			return err
		}
		return fmt.Errorf("%w: server %s has handed on leadership before it is removed", registry.ErrUnavailable, id)
	}
	return l.drop(ctx, id)
}

// drop removes a server without asking whether the others can do without it.
func (l localLeader) drop(ctx context.Context, id string) error {
	return l.reconfigure(ctx, func(servers []raft.Server) (change, error) {
		if !contains(servers, id) {
			return nil, nil
		}
		l.cfg.Log.Info("removing a server", "id", id)
		return func(r *raft.Raft, timeout time.Duration) raft.IndexFuture {
			return r.RemoveServer(raft.ServerID(id), 0, timeout)
		}, nil
	})
}

func contains(servers []raft.Server, id string) bool {
	for _, srv := range servers {
		if string(srv.ID) == id {
			return true
		}
	}
	return false
}

// mayRemove says why a server must not be removed: those that remain would not be able to go on.
func mayRemove(all []answered, id string) error {
	var t registry.Tolerance
	var dead []string
	found := false
	for i := range all {
		voter, alive := all[i].votes()
		if string(all[i].ID) == id {
			found = true
			if !voter {
				return nil
			}
			continue
		}
		if !voter {
			continue
		}
		t.Voters++
		if alive {
			t.Alive++
		} else {
			dead = append(dead, string(all[i].ID))
		}
	}
	switch {
	case !found:
		return fmt.Errorf("%w: server %s", registry.ErrMemberNotFound, id)
	case t.Voters == 0:
		return fmt.Errorf("%w: server %s is the last that votes", registry.ErrMembership, id)
	case t.Alive < t.Voters/2+1:
		return fmt.Errorf("%w: %w: without server %s, %d of %d that vote would be alive, and %d are needed; dead are %s: bring one back, or remove it first",
			registry.ErrMembership, registry.ErrQuorum, id, t.Alive, t.Voters, t.Voters/2+1, strings.Join(dead, ", "))
	}
	return nil
}
