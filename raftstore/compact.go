package raftstore

import (
	"errors"
	"time"

	"herald/registry"
	"herald/registry/mvcc"
)

// compactLoop keeps each space's history within its bounds.
func (t *tenure) compactLoop() {
	for t.pause(t.s.cfg.CompactInterval) {
		v := t.s.machine.View()
		for space := range registry.Space(registry.NumSpaces) {
			rev := t.s.compactTo(v, space, time.Now())
			if rev <= v.Compacted(space) {
				continue
			}
			_, err := t.command(mvcc.Command{
				Origin:  registry.Origin{Why: registry.ReasonSystem},
				Compact: &mvcc.Compact{Space: space, Revision: rev},
			})
			// Someone else may have compacted meanwhile.
			if err != nil && t.ctx.Err() == nil && !errors.Is(err, registry.ErrCompacted) {
				t.s.cfg.Log.Warn("cannot compact history", "space", space.String(), "revision", rev, "error", err)
			}
		}
	}
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
