package raftstore

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"herald/registry"
	"herald/registry/mvcc"
)

// relievePause is how long compactLoop waits after it could not relieve the memory, so that a
// state that is at its limit by its keys alone does not fill the log with compactions.
const relievePause = 100 * time.Millisecond

// compactLoop keeps each space's history within its bounds, gives it up where memory is
// short, and has the servers give back the memory of what was compacted, by whomever.
func (t *tenure) compactLoop() {
	ticker := time.NewTicker(t.s.cfg.CompactInterval)
	defer ticker.Stop()
	t.sweep() // what the leader before left
	for {
		select {
		case <-t.s.machine.compacted:
			t.sweep()
		case <-ticker.C:
			v := t.s.machine.View()
			for space := range registry.Space(registry.NumSpaces) {
				t.compact(v, space, t.s.compactTo(v, space, now()))
			}
			t.relieve()
		case <-t.s.crowded:
			if !t.relieve() && !t.pause(relievePause) {
				return
			}
		case <-t.ctx.Done():
			return
		}
	}
}

// sweep makes entries without commands until nothing that was compacted is left: each server
// removes some of it with each entry that it applies, and there may be no others.
func (t *tenure) sweep() {
	for t.ctx.Err() == nil && t.s.machine.View().Size().Unswept {
		if _, err := t.barrier(); err != nil {
			return // no longer leader: the next one goes on
		}
	}
}

// AwaitSwept implements registry.Sweeper. The leader sweeps by itself (see tenure.sweep), and
// every server as it applies the same entries, so there is nothing to ask for.
func (s *Store) AwaitSwept(ctx context.Context, space registry.Space, rev int64) error {
	for {
		if err := s.enter(ctx); err != nil {
			return err
		}
		v := s.machine.View()
		if v.Swept(space, rev) {
			return nil
		}
		if err := s.machine.waitApplied(ctx, v.Applied()+1); err != nil {
			return err
		}
	}
}

// compact compacts a space to rev, and reports whether that was new.
func (t *tenure) compact(v *mvcc.View, space registry.Space, rev int64) bool {
	if rev <= v.Compacted(space) {
		return false
	}
	_, err := t.command(mvcc.Command{
		Origin:  registry.Origin{Why: registry.ReasonSystem},
		Compact: &mvcc.Compact{Space: space, Revision: rev},
	})
	// Someone else may have compacted meanwhile.
	if err != nil && t.ctx.Err() == nil && !errors.Is(err, registry.ErrCompacted) && !errors.Is(err, registry.ErrStopped) {
		t.s.cfg.Log.Warn("cannot compact history", "space", space.String(), "revision", rev, "error", err)
	}
	return err == nil
}

// crowdedAt is the memory in use above which history is given up: below the limit,
// so that puts are refused only for what is really kept.
func (s *Store) crowdedAt() int64 { return s.cfg.MemoryLimit - s.cfg.MemoryLimit/16 }

// relieve gives up history, however young, if memory is about to be used up: the older
// half of what each space has, again and again, until an eighth of the limit is free
// or there is none left. Deleting keys frees nothing before that, since
// history holds what they were. It reports whether that much is free.
func (t *tenure) relieve() bool {
	limit := t.s.cfg.MemoryLimit
	v := t.s.machine.View()
	before := v.Size().Memory()
	if limit == 0 || before <= t.s.crowdedAt() {
		return true
	}
	now, upTo := before, v.Revisions()
	for now > limit-limit/8 && t.ctx.Err() == nil {
		// What was compacted comes back bit by bit, with entries that are applied. Only when
		// all has is it known how much there is still to give up.
		if _, err := t.barrier(); err != nil {
			return false
		}
		v = t.s.machine.View()
		size := v.Size()
		now = size.Memory()
		if !size.Unswept && !t.compactHalf(v, upTo) {
			break
		}
	}
	relieved := now <= limit-limit/8
	level := slog.LevelInfo
	if !relieved {
		level = slog.LevelDebug // it is tried again and again, and puts are being refused
	}
	t.s.cfg.Log.Log(t.ctx, level, "gave up history to stay within the memory limit", "bytes_before", before, "bytes", now, "limit", limit)
	return relieved
}

// compactHalf compacts the older half of each space's history up to a revision, and
// reports whether there was any. What is written meanwhile is not in that: giving
// it up as it comes would never end.
func (t *tenure) compactHalf(v *mvcc.View, upTo registry.Revisions) (some bool) {
	for space := range registry.Space(registry.NumSpaces) {
		// A space that was never compacted begins at 1, where it is empty.
		kept := upTo[space] - max(v.Compacted(space), 1)
		if kept > 0 && t.compact(v, space, upTo[space]-kept/2) {
			some = true
		}
	}
	return some
}

// compactTo is the lowest revision of a space that has to stay readable: every commit
// above it is young and among the newest. 0 if nothing has to go.
func (s *Store) compactTo(v *mvcc.View, space registry.Space, now time.Time) int64 {
	var rev int64
	from := v.Compacted(space)
	if n := s.cfg.HistoryCommits; n > 0 {
		rev = v.Revision(space) - n
	}
	if s.cfg.HistoryAge <= 0 {
		return rev
	}
	before := now.Add(-s.cfg.HistoryAge)
	// Oldest first, up to the first young one. The commit at from was looked at
	// when history was compacted to it.
	_ = v.Commits(space, max(from+1, rev), v.Revision(space), func(c registry.Commit) bool {
		if c.Origin.When.After(before) {
			return false
		}
		rev = c.Revision
		return true
	})
	return rev
}
