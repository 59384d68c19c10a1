package mvcc

import (
	"fmt"

	"herald/registry"
)

// compact makes revisions below c.Revision unreadable, at once. The memory comes
// back bit by bit (see sweep).
func (s *State) compact(c *Compact) error {
	sp := &s.spaces[c.Space]
	switch {
	case c.Revision <= sp.compacted:
		return sp.compactedError()
	case c.Revision > sp.rev:
		return fmt.Errorf("%w: cannot compact space %v at %d, it is at %d", registry.ErrFutureRevision, c.Space, c.Revision, sp.rev)
	}
	sp.compacted = c.Revision
	return nil
}

// sweeper is how far the removal of compacted history has come. It is not
// replicated: what is swept and what is not cannot be told apart by reading.
type sweeper struct {
	// next is the first event, in order of commits, whose leftovers are still there.
	next [registry.NumSpaces]struct {
		rev   int64
		event int
	}
	// events is how many events were committed since the last sweep.
	events int
	step   int // sweepStep, but for tests of half-swept history
}

// sweepStep is how many events one Apply sweeps at least. Sweeping more than
// what the command itself wrote makes sure that sweeping catches up.
const sweepStep = 64

// sweep gives up a bounded number of versions that compaction has made unreadable:
// of every event at or below the compaction revision, the version it superseded,
// and its tombstone.
//
// The commit at the compaction revision itself stays in the log, with what came
// before it, since watchers may start there.
func (s *State) sweep() {
	budget := s.swept.step + 2*s.swept.events
	s.swept.events = 0
	for id := range s.spaces {
		budget = s.sweepSpace(registry.Space(id), budget)
	}
}

func (s *State) sweepSpace(id registry.Space, budget int) int {
	sp, at := &s.spaces[id], &s.swept.next[id]
	at.rev = s.sweptTo(id)
	if at.rev > sp.compacted {
		return budget
	}
	for at.rev <= sp.compacted && budget > 0 {
		slot := sp.log.at(at.rev)
		n := slot.len()
		for ; at.event < n && budget > 0; at.event++ {
			e := slot.event(at.event)
			s.forget(id, e.prev)
			if e.rec.deleted() {
				s.forget(id, e.rec)
			}
			budget--
		}
		if n == 0 {
			budget-- // looking is work too
		}
		if at.event == n {
			at.rev, at.event = at.rev+1, 0
		}
	}
	sp.log.drop(min(at.rev, sp.compacted))
	return budget
}

// sweptTo is the first revision of a space of which something may be left to remove.
func (s *State) sweptTo(id registry.Space) int64 {
	return max(s.swept.next[id].rev, firstRevision+1)
}

// forget no longer counts a superseded version or a tombstone, unless it is nil. Its
// memory goes with the chunk of the log that it is in.
func (s *State) forget(id registry.Space, r *record) {
	if r == nil {
		return
	}
	sp := &s.spaces[id]
	sp.versions--
	sp.versionBytes -= r.bytes()
}
