package raftstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/mvcc"
)

// leader is what a server needs of whoever leads the cluster: of itself, or of
// another server that it can reach.
//
// An error that is registry.ErrNoLeader or registry.ErrUnavailable says that the call has
// certainly had no effect.
type leader interface {
	// propose brings a client's command into the log.
	propose(ctx context.Context, c *mvcc.Command) (mvcc.Result, error)
	// grant makes a lease of an id that is not 0.
	grant(ctx context.Context, c *mvcc.Command) (registry.Lease, error)
	keepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error)
	// remaining is what a lease has left to live, by the leader's clock.
	remaining(ctx context.Context, id registry.LeaseID) (time.Duration, error)
	// readIndex is an index that the state must contain to answer a linearizable
	// read that began before the call.
	readIndex(ctx context.Context) (uint64, error)
}

// retryPause is how long a call waits before it asks a leader again that could not take it.
const retryPause = 20 * time.Millisecond

// ask carries out a call with whoever leads. A call that had no effect is tried again,
// so that a change of leader is only a delay: until ctx ends or the store's timeout has
// passed, or, while no leader is known, until that has been so for as long as the timeout.
func ask[T any](ctx context.Context, s *Store, call func(context.Context, leader) (T, error)) (T, error) {
	start := time.Now()
	known := s.known.Load()
	res, err := call(ctx, s.leader(known))
	if err == nil || !withoutEffect(err) || s.open() != nil {
		return res, err
	}
	ctx, cancel := context.WithDeadline(ctx, start.Add(s.cfg.ProposeTimeout))
	defer cancel()
	for {
		if !s.awaitLeader(ctx, known) {
			return res, err
		}
		known = s.known.Load()
		res, err = call(ctx, s.leader(known))
		if err == nil || !withoutEffect(err) || s.open() != nil {
			return res, err
		}
	}
}

// withoutEffect reports whether a call that ended with err certainly had no effect. One whose outcome
// is unknown may have, whatever else its error is: a caller's context may end with any cause.
func withoutEffect(err error) bool {
	if errors.Is(err, registry.ErrTimeout) {
		return false
	}
	return errors.Is(err, registry.ErrNoLeader) || errors.Is(err, registry.ErrUnavailable)
}

// awaitLeader waits until it is worth asking again. It reports false when it is not:
// ctx has ended, the store is closing, or there has been no leader for too long.
func (s *Store) awaitLeader(ctx context.Context, known *knownLeader) bool {
	wait := retryPause
	if known.id == "" {
		if wait = s.cfg.ProposeTimeout - time.Since(known.since); wait <= 0 {
			return false
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-known.over.Done():
		return true
	case <-timer.C:
		return known.id != ""
	case <-ctx.Done():
		return false
	case <-s.closing:
		return false
	}
}

// leader is who leads. It costs nothing when this server does.
func (s *Store) leader(known *knownLeader) leader {
	switch {
	case s.raft.State() == raft.Leader && !s.yielded.Load():
		return localLeader{s}
	case known.id == "" || known.id == s.self():
		return nobody{s}
	default:
		return remoteLeader{s, known}
	}
}

// localLeader is this server, while it leads.
type localLeader struct{ *Store }

// propose is for a client's command.
func (l localLeader) propose(ctx context.Context, c *mvcc.Command) (mvcc.Result, error) {
	return l.proposer.propose(ctx, c, proposeOptions{limit: l.cfg.MaxRequestBytes})
}

// nobody stands for a leader that is not known.
type nobody struct{ s *Store }

func (n nobody) propose(context.Context, *mvcc.Command) (mvcc.Result, error) {
	return mvcc.Result{}, n.s.notLeader()
}

func (n nobody) grant(context.Context, *mvcc.Command) (registry.Lease, error) {
	return registry.Lease{}, n.s.notLeader()
}

func (n nobody) keepAlive(context.Context, registry.LeaseID) (registry.Lease, error) {
	return registry.Lease{}, n.s.notLeader()
}

func (n nobody) remaining(context.Context, registry.LeaseID) (time.Duration, error) {
	return 0, n.s.notLeader()
}

func (n nobody) readIndex(context.Context) (uint64, error) { return 0, n.s.notLeader() }

// notLeader says why this server cannot do what only the leader can.
func (s *Store) notLeader() error {
	if err := s.open(); err != nil {
		return err
	}
	addr, id := s.raft.LeaderWithID()
	switch {
	case s.yielded.Load():
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, errMuted)
	case id == "":
		return registry.ErrNoLeader
	case string(id) == s.self():
		return fmt.Errorf("%w: this server has just become leader and is catching up", registry.ErrUnavailable)
	default:
		return fmt.Errorf("%w: server %s at %s leads: ask it", registry.ErrUnavailable, id, addr)
	}
}

// self is this server's id.
func (s *Store) self() string { return s.dir.id.NodeID }
