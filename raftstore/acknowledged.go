package raftstore

import (
	"context"
	"errors"
	"sync/atomic"

	"herald/registry"
)

// acknowledged is the highest revision of each space that a write of this server's clients was
// acknowledged with. The leader's state always contains those. A follower's may not: it waits
// for what the leader did on its behalf, but not for ever (see ownWriteWait). What it says of
// the present must still not lie before what it has said.
//
// Revisions never go down, not even by a restore, so the highest is the newest.
type acknowledged [registry.NumSpaces]atomic.Int64

// note takes note of a write that is about to be acknowledged.
func (a *acknowledged) note(after registry.Revisions) {
	for space, rev := range after {
		for known := a[space].Load(); known < rev && !a[space].CompareAndSwap(known, rev); {
			known = a[space].Load()
		}
	}
}

// revisions is where the spaces stand as far as this server knows.
func (s *Store) revisions() registry.Revisions {
	revs := s.machine.View().Revisions()
	for space := range revs {
		revs[space] = max(revs[space], s.acknowledged[space].Load())
	}
	return revs
}

// Watch implements registry.Store. A watch of what comes next begins after all that this
// server has acknowledged, also if its state does not contain that yet.
func (s *Store) Watch(ctx context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	for r.StartRevision == 0 && r.Space.Valid() {
		now := s.acknowledged[r.Space].Load()
		if s.machine.View().Revision(r.Space) >= now {
			break
		}
		later := r
		later.StartRevision = now + 1
		w, err := s.machine.hub.Watch(ctx, later)
		if errors.Is(err, registry.ErrCompacted) {
			continue // the state has caught up since, and further than that
		}
		if err != nil {
			return nil, err
		}
		return laterWatcher{w, now}, nil
	}
	return s.machine.hub.Watch(ctx, r)
}

// laterWatcher begins after a revision that was not there yet when it was made.
type laterWatcher struct {
	registry.Watcher
	started int64
}

// StartedAt implements registry.Watcher.
func (w laterWatcher) StartedAt() int64 { return w.started }
