package watch

import "herald/registry"

// index finds who watches the keys of a commit in one space. Its owner guards it.
type index struct {
	// ones are the watched single keys: a lookup each, however many there are.
	ones   map[string]*spot
	ranges ranges
	// empties are the watchers that want commits without events.
	empties map[*watcher]struct{}
	// watchers is how many are in the index.
	watchers int
	// touched is scratch of match.
	touched []*spot
}

// spot is a watched range, with the group of its watchers for each filter.
type spot struct {
	keys   registry.KeyRange
	groups [numFilters]group
	// lo and hi bound the events of the commit under way that lie in the range; hi
	// is 0 between commits.
	lo, hi int
}

// group is the watchers that see the same of every commit.
type group struct {
	watchers []*watcher
}

// add puts w in the index. A range that can hold no key is never found again, and
// is not kept.
func (x *index) add(w *watcher) {
	var at *spot
	switch {
	case w.keys.Empty():
		return
	case w.keys.IsOne():
		if at = x.ones[w.keys.Start]; at == nil {
			at = &spot{keys: w.keys}
			if x.ones == nil {
				x.ones = make(map[string]*spot)
			}
			x.ones[w.keys.Start] = at
		}
	default:
		at = x.ranges.add(w.keys)
	}
	g := &at.groups[w.filter]
	w.spot, w.place = at, len(g.watchers)
	g.watchers = append(g.watchers, w)
	x.watchers++
	if w.empties {
		if x.empties == nil {
			x.empties = make(map[*watcher]struct{})
		}
		x.empties[w] = struct{}{}
	}
}

// remove takes w out, if it is there.
func (x *index) remove(w *watcher) {
	at := w.spot
	if at == nil {
		return
	}
	w.spot = nil
	g := &at.groups[w.filter]
	last := len(g.watchers) - 1
	g.watchers[w.place] = g.watchers[last]
	g.watchers[w.place].place = w.place
	g.watchers[last] = nil
	g.watchers = g.watchers[:last]
	x.watchers--
	delete(x.empties, w)
	if !at.empty() {
		return
	}
	if at.keys.IsOne() {
		delete(x.ones, at.keys.Start)
	} else {
		x.ranges.remove(at.keys)
	}
}

func (s *spot) empty() bool {
	for i := range s.groups {
		if len(s.groups[i].watchers) > 0 {
			return false
		}
	}
	return true
}

// match returns the spots that hold keys of events, each with lo and hi set. The
// caller is to call release when it is done with them.
func (x *index) match(events []registry.Event) []*spot {
	for i := range events {
		key := events[i].KV.Key
		if at := x.ones[key]; at != nil {
			x.touch(at, i)
		}
		x.ranges.root.touch(x, key, i)
	}
	return x.touched
}

// touch notes that the event lies in the spot. Events come in key order, so that those
// of one spot are adjacent.
func (x *index) touch(s *spot, event int) {
	if s.hi == 0 {
		s.lo = event
		x.touched = append(x.touched, s)
	}
	s.hi = event + 1
}

// release ends what match began.
func (x *index) release() {
	for _, s := range x.touched {
		s.lo, s.hi = 0, 0
	}
	clear(x.touched)
	x.touched = x.touched[:0]
}
