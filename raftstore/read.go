package raftstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/mvcc"
)

// linearView is a view that contains every write acknowledged before the call.
func (s *Store) linearView(ctx context.Context) (*mvcc.View, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	// A lone voter has nobody to ask, and its published view holds whatever it
	// acknowledged: writes are answered after they are published.
	if _, ok := s.leadsAlone(); ok || bugStaleRead {
		return s.machine.View(), nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	index, err := ask(ctx, s, func(ctx context.Context, l leader) (uint64, error) { return l.readIndex(ctx) })
	if err != nil {
		return nil, s.explainRead(err)
	}
	if err := s.machine.waitApplied(ctx, index); isStopped(err) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w: log entry %d is not applied here yet: %w", registry.ErrUnavailable, index, err)
	}
	return s.machine.View(), nil
}

// explainRead makes one of the registry's errors of whatever kept a read from being
// confirmed.
func (s *Store) explainRead(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		if !withoutEffect(err) {
			return fmt.Errorf("%w: leadership is not confirmed: %w", registry.ErrUnavailable, err)
		}
	}
	return err
}

// leads reports whether this server leads a term in which it has applied all that was
// committed before, and the term.
func (s *Store) leads() (term uint64, ok bool) {
	// In this order: the term is the one that was ready, so a state of leader in
	// between was leadership of that very term.
	term = s.readyTerm.Load()
	ok = term != 0 && s.raft.State() == raft.Leader && s.raft.CurrentTerm() == term && !s.yielded.Load()
	return term, ok
}

// leadsAlone reports whether this server leads and is the only voter, so that its
// leadership needs no confirmation: another leader would need the votes of a
// majority in our configuration or in one that is a single voter away from it. Of a
// single voter, and of two, we are part of every majority; and raft leaves the leader's
// state before it votes for another. A configuration counts as soon as it
// is in our log, before it is committed, so none with more voters is missed.
func (s *Store) leadsAlone() (term uint64, ok bool) {
	// The configuration is looked at first: if we still lead that term after it, we
	// led it alone at that moment, which is no earlier than the call.
	self := false
	for _, srv := range s.raft.GetConfiguration().Configuration().Servers {
		if srv.Suffrage != raft.Voter {
			continue
		}
		if string(srv.ID) != s.self() {
			return 0, false
		}
		self = true
	}
	term, ok = s.leads()
	return term, ok && self
}

// readIndex is localLeader's.
func (l localLeader) readIndex(ctx context.Context) (uint64, error) {
	c, err := l.confirmations.join(ctx)
	return c.index, l.explainRead(err)
}

// readIndexFor is readIndex for the reads of another server. That one was in a term when it
// asked, after those reads had begun: if it votes, this says of it all that confirm would
// learn by asking it, and of two voters, or three, the two servers are a quorum.
func (l localLeader) readIndexFor(ctx context.Context, node string, term uint64) (uint64, error) {
	if ours, ok := l.leads(); ok && term <= ours && l.quorumWith(node) {
		index := l.raft.CommitIndex()
		if now, ok := l.leads(); ok && now == ours {
			return index, nil
		}
	}
	return l.readIndex(ctx)
}

// quorumWith reports whether this server and another are a majority of the voters, of which
// both are.
func (s *Store) quorumWith(node string) bool {
	voters, votes := 0, 0
	for _, srv := range s.raft.GetConfiguration().Configuration().Servers {
		if srv.Suffrage != raft.Voter {
			continue
		}
		voters++
		if id := string(srv.ID); id == node || id == s.self() {
			votes++
		}
	}
	return votes == 2 && voters <= 3
}

// confirmLeader returns once it is certain that this server led at some moment
// after the call, with the term that it led in.
func (s *Store) confirmLeader(ctx context.Context) (uint64, error) {
	if term, ok := s.leadsAlone(); ok {
		return term, nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	c, err := s.confirmations.join(ctx)
	if err != nil {
		return 0, s.explainRead(err)
	}
	return c.term, nil
}

// bounded is ctx with the store's own timeout.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.ProposeTimeout)
}
