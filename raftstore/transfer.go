package raftstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
	"herald/registry"
)

// Transfer implements registry.Operator.
func (s *Store) Transfer(ctx context.Context, id string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	var before *knownLeader
	err := s.atLeader(ctx, func(ctx context.Context, l leader) error {
		before = s.known.Load()
		switch l := l.(type) {
		case localLeader:
			return l.transfer(ctx, id)
		case remoteLeader:
			return l.tell(ctx, methodTransfer, []byte(id))
		}
		return s.notLeader()
	})
	// The answer may have been lost because leadership went.
	if err != nil && !errors.Is(err, peer.ErrLost) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ElectionTimeout)
	defer cancel()
	for {
		known := s.known.Load()
		if id != "" && known.id == id || id == "" && known.id != "" && known != before {
			return nil
		}
		select {
		case <-known.over.Done():
		case <-ctx.Done():
			return fmt.Errorf("%w: no new leader is known yet", registry.ErrTimeout)
		case <-s.closing:
			return registry.ErrStopped
		}
	}
}

func (s *Store) handleTransfer(ctx context.Context, l localLeader, req []byte) ([]byte, error) {
	return nil, l.transfer(ctx, string(req))
}

func (l localLeader) transfer(ctx context.Context, id string) error {
	if id == l.self() {
		return nil
	}
	return l.handOn(ctx, l.askMembers(ctx), id)
}

// handOn gives leadership to a server that votes, or with "" to the one that is closest behind
// among those that answer.
func (l localLeader) handOn(ctx context.Context, all []answered, id string) error {
	var to *answered
	others := 0
	for i := range all {
		a := &all[i]
		voter, alive := a.votes()
		switch {
		case string(a.ID) == l.self():
		case id != "" && string(a.ID) == id:
			if !voter {
				return fmt.Errorf("%w: server %s does not vote", registry.ErrMembership, id)
			}
			if !alive {
				return fmt.Errorf("%w: server %s does not answer", registry.ErrMembership, id)
			}
			to = a
		case voter:
			others++
			if id == "" && alive && (to == nil || a.said.LastIndex > to.said.LastIndex) {
				to = a
			}
		}
	}
	switch {
	case to != nil:
	case id != "":
		return fmt.Errorf("%w: server %s", registry.ErrMemberNotFound, id)
	case others == 0:
		return fmt.Errorf("%w: no other server votes", registry.ErrMembership)
	default:
		return fmt.Errorf("%w: no other server that votes answers", registry.ErrMembership)
	}
	l.cfg.Log.Info("handing on leadership", "to", string(to.ID))
	done := make(chan error, 1)
	// Nobody waits for this goroutine: raft does not answer what it was asked just before it is shut
	// down, which is when a server stops.
	go func() { done <- l.raft.LeadershipTransferToServer(to.ID, to.Address).Error() }()
	select {
	case err := <-done:
		return transferError(err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", registry.ErrTimeout, ctx.Err())
	}
}

func transferError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrNotLeader):
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	// Raft gives up after an election timeout, and leads on.
	return fmt.Errorf("%w: leadership was not taken over: %w", registry.ErrTimeout, err)
}

// handOverTimeout bounds what stopping waits for a successor.
const handOverTimeout = 2 * time.Second

// handOver hands on leadership, if this server has it, before it stops: so there
// is no gap of an election's time.
func (s *Store) handOver(ctx context.Context) {
	if s.raft.State() != raft.Leader || s.yielded.Load() {
		return
	}
	l := localLeader{s}
	all := l.askMembers(ctx)
	if len(all) < 2 {
		return
	}
	if err := l.handOn(ctx, all, ""); err != nil && !errors.Is(err, registry.ErrMembership) {
		s.cfg.Log.Warn("stopping without a successor", "error", err)
	}
}
