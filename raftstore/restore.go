package raftstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/mvcc"
)

const (
	// restorePieceBytes is how much of an archive an entry carries: few enough that what is
	// written meanwhile does not wait long behind one.
	restorePieceBytes = 256 << 10
	// restorePieces is how many pieces may be on their way through the log.
	restorePieces = 4
)

// RestoreSnapshot is part of registry.Operator. What r has is taken in and found sound
// before anything is done with it; then it goes into the log with whoever leads.
//
// Why not raft's own Restore: it makes the leader take on the snapshot before any other
// server has it, as an entry that nobody voted for. Were the leader to fail then, the
// others would go on from the state before, and it would come back with a state and an
// index that contradict what they have committed since.
func (s *Store) RestoreSnapshot(ctx context.Context, r io.Reader) (registry.SnapshotInfo, error) {
	if err := s.enter(ctx); err != nil {
		return registry.SnapshotInfo{}, err
	}
	sp, err := s.spool(ctx, r)
	if err != nil {
		return registry.SnapshotInfo{}, err
	}
	defer sp.close()
	by := origin(ctx)
	var failing time.Time
	for {
		known := s.known.Load()
		err := s.restoreWith(ctx, s.leader(known), sp, by)
		if err == nil {
			return sp.info, nil
		}
		if !withoutEffect(err) || s.open() != nil {
			return registry.SnapshotInfo{}, err
		}
		// Taking it in may have taken long, and so may the attempt: what is bounded is how long
		// nobody could even begin with it.
		if failing.IsZero() {
			failing = time.Now()
		}
		if time.Since(failing) > s.cfg.ProposeTimeout || !s.awaitLeader(ctx, known) {
			return registry.SnapshotInfo{}, err
		}
	}
}

func (s *Store) restoreWith(ctx context.Context, l leader, sp *spool, by registry.Origin) error {
	switch l := l.(type) {
	case localLeader:
		_, err := s.restoreHere(ctx, sp, by)
		return err
	case remoteLeader:
		return l.restore(ctx, sp, by)
	default:
		return s.notLeader()
	}
}

// The states of a restoreJob.
const (
	restoreComing    int32 = iota // it may be abandoned: it then certainly has no effect
	restoreEnding                 // its last entry is on its way
	restoreAbandoned              // nobody waits for it
)

// restoreJob is one restore on its way into the log. restoreLoop carries it out.
type restoreJob struct {
	archive io.Reader
	by      registry.Origin
	state   atomic.Int32
	pieces  atomic.Int64 // that the log has
	done    chan struct{}

	// Set before done is closed.
	index uint64
	err   error
}

// restoreHere restores as leader. It returns an index at which the state is the
// archive's.
func (s *Store) restoreHere(ctx context.Context, sp *spool, by registry.Origin) (uint64, error) {
	j := &restoreJob{archive: sp.reader(), by: by, done: make(chan struct{})}
	patience := time.NewTicker(s.cfg.ProposeTimeout)
	defer patience.Stop()
	select {
	case s.restores <- j:
	case <-patience.C:
		return 0, fmt.Errorf("%w: another restore is under way", registry.ErrUnavailable)
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: another restore is under way: %w", registry.ErrUnavailable, context.Cause(ctx))
	case <-s.closing:
		return 0, registry.ErrStopped
	}
	// As long as it goes on it may take its time.
	before := int64(-1)
	for {
		var why error
		select {
		case <-j.done:
			return j.index, j.err
		case <-ctx.Done():
			why = context.Cause(ctx)
		case <-patience.C:
			now := j.pieces.Load()
			if now != before {
				before = now
				continue
			}
			why = fmt.Errorf("nothing was committed within %v", s.cfg.ProposeTimeout)
		}
		if j.state.CompareAndSwap(restoreComing, restoreAbandoned) {
			return 0, fmt.Errorf("%w: the restore was given up, nothing has changed: %w", registry.ErrUnavailable, why)
		}
		return 0, fmt.Errorf("%w: the restore: %w", registry.ErrTimeout, why)
	}
}

// restoreLoop carries out restores, one at a time. It returns when the store is closing.
func (s *Store) restoreLoop() {
	for {
		select {
		case j := <-s.restores:
			j.index, j.err = s.restore(j)
			close(j.done)
		case <-s.closing:
			return
		}
	}
}

// restore brings an archive into the log.
func (s *Store) restore(j *restoreJob) (index uint64, err error) {
	term, ok := s.leads()
	if !ok {
		return 0, s.notLeader()
	}
	e := restoreEntry{kind: restorePiece, fence: term, id: rand.Uint64()}
	defer func() {
		if err != nil {
			e.kind, e.data = restoreCancel, nil
			s.raft.Apply(e.append(nil), s.cfg.ProposeTimeout) // or the term ends, and it with it
		}
	}()
	if err := s.restorePieces(j, &e); err != nil {
		return 0, err
	}
	// From here on the leader decides nothing about leases until it has those of the new
	// state, and what it decided before has been carried out.
	select {
	case s.decisions <- struct{}{}:
	case <-s.closing:
		return 0, registry.ErrStopped
	}
	defer func() { <-s.decisions }()
	if !j.state.CompareAndSwap(restoreComing, restoreEnding) {
		return 0, errRestoreOver
	}
	j.by.When = now()
	e.kind, e.data = restoreEnd, appendOrigin(nil, j.by)
	f := s.raft.Apply(e.append(nil), s.cfg.ProposeTimeout)
	if err := f.Error(); err != nil {
		return 0, s.proposer.explain(err)
	}
	if err := restoreOutcome(f); err != nil {
		return 0, err
	}
	s.cfg.Log.Info("the store was restored from a snapshot", "by", j.by.Who, "index", f.Index(), "revisions", s.machine.View().Revisions())
	return f.Index(), nil
}

// restorePieces brings all but the end into the log, and leaves e as the end needs it. An
// error says that there will be none.
func (s *Store) restorePieces(j *restoreJob, e *restoreEntry) error {
	var way []raft.ApplyFuture
	// The oldest on its way has to be there before there are more than n.
	await := func(n int) error {
		for len(way) > n {
			f := way[0]
			way = way[1:]
			if err := f.Error(); err != nil {
				return s.explainPiece(err)
			}
			if err := restoreOutcome(f); err != nil {
				return err
			}
			j.pieces.Add(1)
		}
		return nil
	}
	for {
		if err := s.open(); err != nil {
			return err
		}
		if j.state.Load() != restoreComing {
			return errRestoreOver
		}
		if err := s.admitCommand(); err != nil {
			return err
		}
		piece := make([]byte, s.pieceBytes)
		n, err := io.ReadFull(j.archive, piece)
		if errors.Is(err, io.EOF) {
			return await(0)
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("read the snapshot that was taken in: %w", err)
		}
		e.data = piece[:n]
		way = append(way, s.raft.Apply(e.append(make([]byte, 0, n+64)), s.cfg.ProposeTimeout))
		e.offset += uint64(n)
		if err := await(restorePieces - 1); err != nil {
			return err
		}
	}
}

// explainPiece says why a piece of a restore is not in the log, or may not be: which it is
// does not matter, since without its end a restore is nothing.
func (s *Store) explainPiece(err error) error {
	if errors.Is(err, raft.ErrNotLeader) {
		return s.notLeader()
	}
	return fmt.Errorf("%w: the restore was not carried out: %w", registry.ErrUnavailable, err)
}

// restoreOutcome is what an entry of a restore did.
func restoreOutcome(f raft.ApplyFuture) error {
	r := f.Response().(*entryResult)
	if r.err != nil {
		return fmt.Errorf("%w: %w", registry.ErrStopped, r.err)
	}
	err := r.results[0].Err
	if errors.Is(err, errFenced) || errors.Is(err, errRestoreOver) {
		return fmt.Errorf("%w: the restore was not carried out: %w", registry.ErrUnavailable, err)
	}
	return err
}

// noteRestored is called on every server, by the machine, when a restore has replaced the
// state.
func (s *Store) noteRestored(v *mvcc.View) {
	s.clock.reload(v)
	// The archive is still in the log, where a restart would go through all of it.
	select {
	case s.logGrew <- struct{}{}:
	default:
	}
}
