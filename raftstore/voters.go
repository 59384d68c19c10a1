package raftstore

import (
	"context"
	"fmt"
	"slices"

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
	newest := l.raft.LastIndex() // before the others are asked: they would be measured by what came later
	if err := mayPromote(l.askMembers(ctx), id, newest); err != nil {
		return err
	}
	l.cfg.Log.Info("giving a server a vote", "id", id, "why", "an operator says so")
	return l.giveVote(ctx, id)
}

// mayPromote says why a server must not get a vote, when the leader's log ends at newest.
func mayPromote(all []answered, id string, newest uint64) error {
	i := slices.IndexFunc(all, func(a answered) bool { return string(a.ID) == id })
	if i < 0 {
		return fmt.Errorf("%w: server %s", registry.ErrMemberNotFound, id)
	}
	a := &all[i]
	switch {
	case a.Suffrage == raft.Voter:
		return fmt.Errorf("%w: server %s", registry.ErrVoter, id)
	case a.err != nil:
		// In words only: what became of the question is not what became of the promotion.
		return fmt.Errorf("%w: server %s does not answer: %v", registry.ErrNotInSync, id, a.err)
	case a.said.Lost:
		return fmt.Errorf("%w: the disk of server %s does not answer", registry.ErrNotInSync, id)
	case a.said.LastIndex+maxPromoteLag < newest:
		return fmt.Errorf("%w: server %s is at entry %d of %d", registry.ErrNotInSync, id, a.said.LastIndex, newest)
	}
	return nil
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
			return l.relocate(ctx, id, address)
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
	return nil, l.relocate(ctx, a.ID, a.Address)
}

// relocate is readdress on an operator's word alone. A server that answers is where it says,
// and would say so again. An operator must not take another server's address from it either, as a
// server can that is found there.
func (l localLeader) relocate(ctx context.Context, id, address string) error {
	all := l.askMembers(ctx)
	i := slices.IndexFunc(all, func(a answered) bool { return string(a.ID) == id })
	if i < 0 {
		return fmt.Errorf("%w: server %s", registry.ErrMemberNotFound, id)
	}
	for j := range all {
		if j != i && string(all[j].Address) == address {
			return fmt.Errorf("%w: server %s is at %s: say first where that one is", registry.ErrMembership, all[j].ID, address)
		}
	}
	if all[i].err == nil {
		return nil
	}
	return l.readdress(ctx, id, address, false)
}
