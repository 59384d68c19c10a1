package raftstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry/mvcc"
)

// tenure is one term of this server as leader, with the goroutines that only a
// leader runs.
type tenure struct {
	s      *Store
	term   uint64
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	// ticked wakes expireLoop: the lease clock has moved.
	ticked chan struct{}
}

// followLeadership begins and ends tenures as raft gains and loses leadership. It
// returns when the store is closing.
//
// Raft keeps only the last change for us, so that it never waits: true may follow
// true, for leadership that was lost and regained in between.
func (s *Store) followLeadership() {
	var t *tenure
	end := func() {
		if t == nil {
			return
		}
		t.end()
		t = nil
		if s.cfg.Hooks.Leader != nil {
			s.cfg.Hooks.Leader(false)
		}
	}
	defer end()
	for {
		select {
		case leading := <-s.raft.LeaderCh():
			end()
			if leading {
				t = s.beginTenure()
				if s.cfg.Hooks.Leader != nil {
					s.cfg.Hooks.Leader(true)
				}
			}
		case <-s.closing:
			return
		}
	}
}

func (s *Store) beginTenure() *tenure {
	t := &tenure{s: s, ticked: make(chan struct{}, 1)}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.wg.Go(t.run)
	return t
}

func (t *tenure) end() {
	// The clock stops first: what waits on it must not find it running while the
	// outcome of what was under way is unknown.
	t.s.clock.follow()
	t.cancel()
	t.wg.Wait()
	t.s.clock.follow() // run may have started it in between
	t.s.cfg.Log.Info("no longer leader", "term", t.term)
}

// run takes up the leader's duties once everything that was committed before is
// applied here.
func (t *tenure) run() {
	term, err := t.barrier()
	if err != nil {
		t.s.cfg.Log.Info("lost leadership before it began", "error", err)
		return
	}
	t.term = term
	t.s.readyTerm.Store(term)
	t.s.clock.lead(term, t.s.machine.View)
	t.s.cfg.Log.Info("leading", "term", term, "applied", t.s.machine.View().Applied())
	t.wg.Go(t.tickLoop)
	t.wg.Go(t.expireLoop)
	t.wg.Go(t.checkpointLoop)
	t.wg.Go(t.compactLoop)
	t.wg.Go(t.noticeCommits)
	t.wg.Go(t.tend)
}

// barrier applies an entry of this term, and returns the term. Raft's own barrier would not do: it
// does not pass through the state machine, so that the applied index would stay
// behind a read index for ever when nothing else is written.
func (t *tenure) barrier() (uint64, error) {
	r := t.s.raft
	for {
		term := r.CurrentTerm()
		f := r.Apply(appendEntryHeader(nil), 0)
		err := f.Error()
		if err == nil {
			if er := f.Response().(*entryResult); er.err != nil {
				return 0, er.err
			}
			// Applied by us as leader, in a term between the two looks.
			if r.CurrentTerm() == term {
				return term, nil
			}
			continue
		}
		if !errors.Is(err, raft.ErrLeadershipTransferInProgress) || r.State() != raft.Leader {
			return 0, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.ctx.Done():
			return 0, t.ctx.Err()
		}
	}
}

// command makes a command of the leader's own and proposes it, fenced with its
// term. It waits for the outcome as long as the tenure lasts, however long the disk or
// the quorum stalls: a lease must not be renewed while its revocation may yet be applied.
//
// So a command that has not certainly ended when command returns is one of a term that is
// over, for this server as leader: raft gave up its entry together with its
// leadership, or the tenure has been ended. It may still be committed, by a later leader, but in an
// entry of this term only (the fence), which is before that leader's barrier: nobody has
// answered, or will answer, a keepalive against it (see leaseClock, "Across leaders").
func (t *tenure) command(c mvcc.Command) (mvcc.Result, error) {
	c.Origin.When = now()
	return t.s.proposer.propose(t.ctx, &c, proposeOptions{fence: t.term, limit: maxMaxRequestBytes, patient: true})
}

// pause waits, and reports whether the tenure goes on.
func (t *tenure) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.ctx.Done():
		return false
	}
}
