package mvcc

import (
	"slices"
	"time"

	"herald/registry"
)

// chunkLen is how many commits one chunk of a log holds.
const chunkLen = 256

// event is what a commit did to one key: rec is the key after it (a tombstone
// if it was deleted), prev the key before it, nil if there was none.
type event struct {
	rec  *record
	prev *record
}

// slot is one commit. Nearly every commit writes one key, so the first event is
// inline. Its record is nil if the commit has no events (see pending.finish).
type slot struct {
	when  int64 // UnixNano; 0: unknown
	cause *cause
	first event
	rest  *others
}

// others are the events of a commit beside the first, by key.
type others struct {
	events []event
	// order is registry.Event.Seq of every event of the commit, the first included; nil
	// if the operations wrote to the keys in their order, as nearly all do.
	order []uint32
}

// cause is who asked for a commit and why. Equal causes are shared.
type cause struct {
	who string
	why registry.Reason
}

// commitLog is the commits of one space from revision first on, without gaps.
//
// The writer fills slots above the length that readers know (the revision of
// their view) and never touches those below it, so readers need no lock: the
// atomic publication of a view orders the filling before the reading. Chunks are
// never moved; the directory is copied when its front is dropped.
type commitLog struct {
	first   int64 // revision of the first slot of chunks[0]
	chunks  []*chunk
	indexes *indexes
}

func newLog(first int64) commitLog { return commitLog{first: first, indexes: new(indexes)} }

// at returns the slot of a revision that the log holds.
func (l *commitLog) at(rev int64) *slot {
	i := rev - l.first
	return &l.chunks[i/chunkLen].slots[i%chunkLen]
}

// append makes room for the commit of revision rev, the one after the last.
func (l *commitLog) append(rev int64) *slot {
	if rev-l.first == int64(len(l.chunks))*chunkLen {
		c := new(chunk)
		if n := len(l.chunks); n > 0 {
			c.number = l.chunks[n-1].number + 1
		}
		l.chunks = append(l.chunks, c)
	}
	return l.at(rev)
}

// drop gives up whole chunks below rev. Copying the directory is paid for by
// waiting until a share of it can go.
func (l *commitLog) drop(rev int64) {
	n := int((rev - l.first) / chunkLen)
	if n <= 0 || n*64 < len(l.chunks) {
		return
	}
	l.indexes.drop(l.chunks[:n])
	l.chunks = slices.Clone(l.chunks[n:])
	l.first += int64(n) * chunkLen
}

// events yields the events of the slot in key order.
func (s *slot) events(yield func(event) bool) {
	if s.first.rec == nil || !yield(s.first) || s.rest == nil {
		return
	}
	for _, e := range s.rest.events {
		if !yield(e) {
			return
		}
	}
}

// len is the number of events.
func (s *slot) len() int {
	switch {
	case s.first.rec == nil:
		return 0
	case s.rest == nil:
		return 1
	default:
		return 1 + len(s.rest.events)
	}
}

// event returns the i-th event.
func (s *slot) event(i int) event {
	if i == 0 {
		return s.first
	}
	return s.rest.events[i-1]
}

func (s *slot) origin() registry.Origin {
	return registry.Origin{Who: s.cause.who, Why: s.cause.why, When: fromUnixNano(s.when)}
}

// commit is the slot as watchers see it.
func (s *slot) commit(rev int64) registry.Commit {
	c := registry.Commit{Revision: rev, Origin: s.origin()}
	n := s.len()
	if n == 0 {
		return c
	}
	c.Events = make([]registry.Event, 0, n)
	order := s.order()
	for e := range s.events {
		ev := e.event()
		ev.Seq = uint32(len(c.Events))
		if order != nil {
			ev.Seq = order[ev.Seq]
		}
		c.Events = append(c.Events, ev)
	}
	return c
}

// order is others.order.
func (s *slot) order() []uint32 {
	if s.rest == nil {
		return nil
	}
	return s.rest.order
}

func (e event) event() registry.Event {
	ev := registry.Event{KV: e.rec.kv(), Prev: e.prev.kvPointer()}
	if e.rec.deleted() {
		ev.Type = registry.EventDelete
	}
	return ev
}

// toUnixNano and fromUnixNano carry a wall clock as an integer. The zero time is 0.
func toUnixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromUnixNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
