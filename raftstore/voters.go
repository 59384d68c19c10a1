package raftstore

import (
	"context"
	"fmt"

	"github.com/hashicorp/raft"

	"herald/registry"
)

// Promote implements registry.Operator.
func (s *Store) Promote(ctx context.Context, id string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	return s.atLeader(ctx, func(ctx context.Context, l leader) error {
		switch l := l.(type) {
		case localLeader:
			return l.promote(ctx, id)
		case remoteLeader:
			return l.tell(ctx, methodPromote, []byte(id))
		}
		return s.notLeader()
	})
}

func (s *Store) handlePromote(ctx context.Context, l localLeader, req []byte) ([]byte, error) {
	return nil, l.promote(ctx, string(req))
}

// promote gives a server a vote now that tend would give one once it has proved steady.
func (l localLeader) promote(ctx context.Context, id string) error {
	var it *answered
	newest := l.raft.LastIndex()
	all := l.askMembers(ctx)
	for i := range all {
		if string(all[i].ID) == id {
			it = &all[i]
		}
	}
	switch {
	case it == nil:
		return fmt.Errorf("%w: server %s", registry.ErrMemberNotFound, id)
	case it.Suffrage == raft.Voter:
		return fmt.Errorf("%w: server %s", registry.ErrVoter, id)
	case it.err != nil:
		return fmt.Errorf("%w: server %s does not answer: %w", registry.ErrNotInSync, id, it.err)
	case it.said.Lost || it.said.LastIndex+maxPromoteLag < newest:
		return fmt.Errorf("%w: server %s is at entry %d of %d", registry.ErrNotInSync, id, it.said.LastIndex, newest)
	}
	l.cfg.Log.Info("giving a server a vote", "id", id, "why", "an operator says so")
	return l.giveVote(ctx, id)
}

// Readdress implements registry.Operator.
func (s *Store) Readdress(ctx context.Context, id, address string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	if err := checkHostPort("peer address", address); err != nil {
		return err
	}
	return s.atLeader(ctx, func(ctx context.Context, l leader) error {
		switch l := l.(type) {
		case localLeader:
			return l.readdress(ctx, id, address, false)
		case remoteLeader:
			a := admission{ID: id, Address: address}
			return l.tell(ctx, methodReaddress, a.append(nil))
		}
		return s.notLeader()
	})
}

func (s *Store) handleReaddress(ctx context.Context, l localLeader, req []byte) ([]byte, error) {
	a, err := decodeAdmission(req)
	if err != nil {
		return nil, err
	}
	return nil, l.readdress(ctx, a.ID, a.Address, false)
}
