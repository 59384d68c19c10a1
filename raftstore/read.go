package raftstore

import (
	"context"
	"fmt"
	"sync"
	"time"

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
	if _, ok := s.leadsAlone(); ok {
		return s.machine.View(), nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	index, err := s.leader().readIndex(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.machine.waitApplied(ctx, index); err != nil {
		return nil, fmt.Errorf("%w: log entry %d is not applied here yet: %w", registry.ErrUnavailable, index, err)
	}
	return s.machine.View(), nil
}

// leads reports whether this server leads a term in which it has applied all that was
// committed before, and the term.
func (s *Store) leads() (term uint64, ok bool) {
	// In this order: the term is the one that was ready, so a state of leader in
	// between was leadership of that very term.
	term = s.readyTerm.Load()
	ok = term != 0 && s.raft.State() == raft.Leader && s.raft.CurrentTerm() == term
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
		if string(srv.ID) != s.dir.id.NodeID {
			return 0, false
		}
		self = true
	}
	term, ok = s.leads()
	return term, ok && self
}

// readIndex is localLeader's.
func (l localLeader) readIndex(ctx context.Context) (uint64, error) {
	v, err := l.verifier.join(ctx)
	if err != nil {
		return 0, err
	}
	return v.index, nil
}

// confirmLeader returns once it is certain that this server led at some moment
// after the call, with the term that it led in.
func (s *Store) confirmLeader(ctx context.Context) (uint64, error) {
	if term, ok := s.leadsAlone(); ok {
		return term, nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	v, err := s.verifier.join(ctx)
	if err != nil {
		return 0, err
	}
	return v.term, nil
}

// bounded is ctx with the store's own timeout.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.ProposeTimeout)
}

// verifier confirms leadership for all who wait for it at once: who comes while
// a check is under way waits for the next.
type verifier struct {
	s    *Store
	wake chan struct{} // one slot
	done chan struct{} // run has returned

	mu   sync.Mutex
	next *verification
}

// verification is one check. Its fields are set before done is closed.
type verification struct {
	done  chan struct{}
	term  uint64
	index uint64 // the commit index, taken after the check was asked for
	err   error
}

func newVerifier(s *Store) *verifier {
	return &verifier{s: s, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// join returns a verification that began after the call and succeeded.
func (v *verifier) join(ctx context.Context) (*verification, error) {
	v.mu.Lock()
	n := v.next
	if n == nil {
		n = &verification{done: make(chan struct{})}
		v.next = n
	}
	v.mu.Unlock()
	select {
	case v.wake <- struct{}{}:
	default:
	}
	select {
	case <-n.done:
		return n, n.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: leadership is not confirmed: %w", registry.ErrUnavailable, context.Cause(ctx))
	case <-v.done:
		return nil, registry.ErrStopped
	}
}

// run makes one check after another until the store is closing.
func (v *verifier) run() {
	defer close(v.done)
	for {
		select {
		case <-v.wake:
		case <-v.s.closing:
			return
		}
		v.mu.Lock()
		n := v.next
		v.next = nil
		v.mu.Unlock()
		if n != nil {
			n.term, n.index, n.err = v.check()
			close(n.done)
		}
	}
}

func (v *verifier) check() (term, index uint64, err error) {
	s := v.s
	term, ok := s.leads()
	if !ok {
		return 0, 0, s.notLeader()
	}
	// The barrier of this term is applied, so the commit index is of this term and
	// covers all that was ever acknowledged; and the entry there is a command or a
	// configuration, which pass through the state machine, so it will be applied.
	index = s.raft.CommitIndex()
	if err := s.raft.VerifyLeader().Error(); err != nil {
		return 0, 0, s.notLeader()
	}
	if now, ok := s.leads(); !ok || now != term {
		return 0, 0, s.notLeader()
	}
	s.confirmedAt.Store(int64(time.Since(s.started)))
	return term, index, nil
}
