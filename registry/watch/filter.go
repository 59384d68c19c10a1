package watch

import (
	"sort"

	"herald/registry"
)

// filter is the set of event types that a watcher leaves out.
type filter uint8

const (
	skipPuts filter = 1 << iota
	skipDeletes

	numFilters = 4
)

func filterOf(r *registry.WatchRequest) filter {
	var f filter
	if r.SkipPuts {
		f |= skipPuts
	}
	if r.SkipDeletes {
		f |= skipDeletes
	}
	return f
}

func (f filter) skips(t registry.EventType) bool {
	if t == registry.EventDelete {
		return f&skipDeletes != 0
	}
	return f&skipPuts != 0
}

// span returns which events of a commit lie in a range: events[lo:hi]. A range holds
// adjacent keys and events are in key order, so that they are adjacent too.
func span(events []registry.Event, keys registry.KeyRange) (lo, hi int) {
	lo = sort.Search(len(events), func(i int) bool { return events[i].KV.Key >= keys.Start })
	hi = lo + sort.Search(len(events)-lo, func(i int) bool { return !keys.Contains(events[lo+i].KV.Key) })
	return lo, hi
}

// narrow returns c with only those of its events [lo, hi) that f lets through: c
// itself if that is all of them, nil if it is none.
func (f filter) narrow(c *registry.Commit, lo, hi int) *registry.Commit {
	events := c.Events[lo:hi:hi]
	if f != 0 {
		events = f.keep(events)
	}
	switch len(events) {
	case 0:
		return nil
	case len(c.Events):
		return c
	default:
		return &registry.Commit{Revision: c.Revision, Events: events, Origin: c.Origin}
	}
}

// keep returns the events that f lets through; the same slice if it is all.
func (f filter) keep(events []registry.Event) []registry.Event {
	n := 0
	for i := range events {
		if !f.skips(events[i].Type) {
			n++
		}
	}
	if n == len(events) {
		return events
	}
	if n == 0 {
		return nil
	}
	kept := make([]registry.Event, 0, n)
	for i := range events {
		if !f.skips(events[i].Type) {
			kept = append(kept, events[i])
		}
	}
	return kept
}

// eventOverhead is roughly what an event takes besides its keys and values.
const eventOverhead = 128

// sizeOf is roughly how many bytes of memory a commit keeps alive.
func sizeOf(c *registry.Commit) int {
	n := 0
	for i := range c.Events {
		e := &c.Events[i]
		n += eventOverhead + len(e.KV.Key) + len(e.KV.Value)
		if e.Prev != nil {
			n += eventOverhead + len(e.Prev.Value)
		}
	}
	return n
}
