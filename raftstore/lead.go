package raftstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/mvcc"
)

// leader is what a server needs of whoever leads the cluster: of itself, or of
// another server that it can reach.
type leader interface {
	// propose brings a command into the log; see proposer.propose.
	propose(ctx context.Context, c *mvcc.Command, after func()) (mvcc.Result, error)
	// readIndex is an index that the state must contain to answer a linearizable
	// read that began before the call.
	readIndex(ctx context.Context) (uint64, error)
	// grant makes a lease of an id that is not 0.
	grant(ctx context.Context, c *mvcc.Command) (registry.Lease, error)
	keepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error)
	// remaining is what a lease has left to live, by the leader's clock.
	remaining(ctx context.Context, id registry.LeaseID) (time.Duration, error)
}

// leader finds who leads. It costs nothing when this server does.
func (s *Store) leader() leader {
	if s.raft.State() == raft.Leader {
		return localLeader{s}
	}
	return unreachableLeader{s}
}

// localLeader is this server, while it leads.
type localLeader struct{ *Store }

// unreachableLeader is another server, or none: servers do not forward yet.
type unreachableLeader struct{ s *Store }

func (u unreachableLeader) propose(_ context.Context, _ *mvcc.Command, after func()) (mvcc.Result, error) {
	if after != nil {
		after()
	}
	return mvcc.Result{}, u.s.notLeader()
}

func (u unreachableLeader) readIndex(context.Context) (uint64, error) {
	return 0, u.s.notLeader()
}

func (u unreachableLeader) grant(context.Context, *mvcc.Command) (registry.Lease, error) {
	return registry.Lease{}, u.s.notLeader()
}

func (u unreachableLeader) keepAlive(context.Context, registry.LeaseID) (registry.Lease, error) {
	return registry.Lease{}, u.s.notLeader()
}

func (u unreachableLeader) remaining(context.Context, registry.LeaseID) (time.Duration, error) {
	return 0, u.s.notLeader()
}

// notLeader says why this server cannot do what only the leader can.
func (s *Store) notLeader() error {
	if err := s.open(); err != nil {
		return err
	}
	addr, id := s.raft.LeaderWithID()
	switch {
	case id == "":
		return registry.ErrNoLeader
	case string(id) == s.dir.id.NodeID:
		return fmt.Errorf("%w: this server has just become leader and is catching up", registry.ErrUnavailable)
	default:
		return fmt.Errorf("%w: server %s at %s leads: ask it", registry.ErrUnavailable, id, addr)
	}
}

// propose is localLeader's; the command is of a client.
func (l localLeader) propose(ctx context.Context, c *mvcc.Command, after func()) (mvcc.Result, error) {
	return l.proposer.propose(ctx, c, proposeOptions{limit: l.cfg.MaxRequestBytes, after: after})
}

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
	t.s.becomeReady()
	t.wg.Go(t.tickLoop)
	t.wg.Go(t.expireLoop)
	t.wg.Go(t.checkpointLoop)
	t.wg.Go(t.compactLoop)
	t.wg.Go(t.correctAddress)
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

// correctAddress tells the cluster where this server is now, if it is not where it was.
func (t *tenure) correctAddress() {
	s := t.s
	self, at := raft.ServerID(s.dir.id.NodeID), s.transport.LocalAddr()
	for _, srv := range s.raft.GetConfiguration().Configuration().Servers {
		if srv.ID != self || srv.Suffrage != raft.Voter || srv.Address == at {
			continue
		}
		// For a voter this changes the address alone.
		if err := s.raft.AddVoter(self, at, 0, s.cfg.ProposeTimeout).Error(); err != nil {
			s.cfg.Log.Warn("cannot record this server's new address", "address", string(at), "error", err)
		}
	}
}
