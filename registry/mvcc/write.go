package mvcc

import (
	"slices"
	"strings"

	"herald/registry"
)

// pending is what the command under way has written to one space. The live keys
// change at once, so that later operations of a transaction see it; everything else
// waits for commit. Undoing puts the keys back from events.
type pending struct {
	wrote bool
	// events has one event for each key written, in order of the first write. A
	// tombstone with nothing before it is of a key that was created and deleted.
	events []event
	// deleted counts the keys that were deleted at some point, and may be written
	// again.
	deleted int
	// index finds an event by key, once there are too many to look through.
	index map[string]int
}

// indexFrom is how many events are looked through one by one.
const indexFrom = 16

// find returns the position of key's event, or -1.
func (p *pending) find(key string) int {
	if len(p.events) <= indexFrom {
		return slices.IndexFunc(p.events, func(e event) bool { return e.key() == key })
	}
	if p.index == nil {
		p.index = make(map[string]int, 2*len(p.events))
		for i, e := range p.events {
			p.index[e.key()] = i
		}
	}
	if i, ok := p.index[key]; ok {
		return i
	}
	return -1
}

// deletedIn says whether a key of the range that was there before is not there now.
func (p *pending) deletedIn(kr registry.KeyRange) bool {
	return p.deleted > 0 && slices.ContainsFunc(p.events, func(e event) bool {
		return e.prev != nil && e.rec.deleted() && kr.Contains(e.key())
	})
}

// add appends the event of a key that has none yet.
func (p *pending) add(e event) {
	if p.index != nil {
		p.index[e.key()] = len(p.events)
	}
	p.events = append(p.events, e)
}

func (e event) key() string { return e.rec.key() }

// reset makes p ready for the next command. Records must not be kept alive
// by the scratch space, and a huge command must not leave a huge one behind.
func (p *pending) reset() {
	const keep = 1024
	if cap(p.events) > keep {
		p.events = nil
	}
	clear(p.events)
	*p = pending{events: p.events[:0]}
}

// present is the revision of a space as the operations of the command under way
// see it: with their own writes so far.
func (s *State) present(id registry.Space) int64 {
	rev := s.spaces[id].rev
	if s.pending[id].wrote {
		rev++
	}
	return rev
}

// insert writes rec, a record of which only key, value and attrs are set, over
// whatever there is. What it replaced is returned, nil if nothing.
//
// It is the one search that a plain put costs: the record is completed after it
// went in, which nobody can see before Publish.
func (s *State) insert(id registry.Space, rec *record) *record {
	sp := &s.spaces[id]
	prev, _ := sp.keys.Set(rec)
	s.wrote(id, rec, prev)
	return prev
}

// replace writes rec over prev, the live record of the same key.
func (s *State) replace(id registry.Space, prev, rec *record) {
	s.spaces[id].keys.Set(rec)
	s.wrote(id, rec, prev)
}

// wrote completes rec, which took the place of prev, and notes its event.
func (s *State) wrote(id registry.Space, rec, prev *record) {
	sp, p := &s.spaces[id], &s.pending[id]
	rev := sp.rev + 1
	p.wrote = true
	s.changed |= keysChanged << id
	rec.create, rec.mod, rec.version = rev, rev, 1
	switch {
	case prev == nil:
		if p.deleted > 0 {
			if i := p.find(rec.key()); i >= 0 {
				p.events[i].rec = rec
				return
			}
		}
		p.add(event{rec: rec})
	case prev.mod == rev:
		// Written before in this transaction: its version has grown already.
		rec.create, rec.version = prev.create, prev.version
		p.events[p.find(rec.key())].rec = rec
	default:
		rec.create, rec.version = prev.create, prev.version+1
		p.add(event{rec: rec, prev: prev})
	}
}

// remove deletes prev, a live record.
func (s *State) remove(id registry.Space, prev *record) {
	sp, p := &s.spaces[id], &s.pending[id]
	rev := sp.rev + 1
	p.wrote = true
	p.deleted++
	s.changed |= keysChanged << id
	sp.keys.Delete(prev.key())
	tomb := newTombstone(prev.key(), rev)
	if prev.mod == rev {
		p.events[p.find(prev.key())].rec = tomb
		return
	}
	p.add(event{rec: tomb, prev: prev})
}

// undo takes back everything since the last commit.
func (s *State) undo() {
	for id := range s.pending {
		sp, p := &s.spaces[id], &s.pending[id]
		if !p.wrote {
			continue
		}
		for _, e := range p.events {
			if e.prev == nil {
				sp.keys.Delete(e.rec.key())
				continue
			}
			sp.keys.Set(e.prev)
		}
		p.reset()
	}
	s.undoGrants()
}

// commit makes what was written since the last commit a revision of each space
// that was written to.
func (s *State) commit() {
	for id := range s.pending {
		if s.pending[id].wrote {
			s.commitSpace(registry.Space(id))
		}
	}
}

func (s *State) commitSpace(id registry.Space) {
	sp, p := &s.spaces[id], &s.pending[id]
	// A key that was created and deleted again leaves nothing, not even an event.
	// The revision moves all the same: the transaction's results have named it.
	if p.deleted > 0 {
		p.events = slices.DeleteFunc(p.events, func(e event) bool { return e.prev == nil && e.rec.deleted() })
	}
	order := sortByKey(p.events)
	slot := sp.log.append(sp.rev + 1)
	slot.when, slot.cause = s.when, s.cause
	for _, e := range p.events {
		s.settle(id, e)
	}
	if len(p.events) > 0 {
		slot.first = p.events[0]
	}
	if len(p.events) > 1 {
		slot.rest = &others{slices.Clone(p.events[1:]), order}
	}
	sp.rev++
	s.swept.events += len(p.events)
	p.reset()
}

// sortByKey puts events in order of their keys and returns where each was, nil if all were
// there already.
func sortByKey(events []event) []uint32 {
	byKey := func(a, b event) int { return strings.Compare(a.key(), b.key()) }
	if slices.IsSortedFunc(events, byKey) {
		return nil
	}
	was := slices.Clone(events)
	order := make([]uint32, len(events))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return byKey(was[a], was[b]) })
	for i, at := range order {
		events[i] = was[at]
	}
	return order
}

// settle brings what is derived from the keys in line with one event.
func (s *State) settle(id registry.Space, e event) {
	sp := &s.spaces[id]
	if e.prev != nil {
		sp.bytes -= e.prev.bytes()
		sp.outdated(e.prev)
	}
	if e.rec.deleted() {
		sp.outdated(e.rec)
		s.graves[id].bury(sp, e.rec.key(), e.rec.mod, s.maxDead)
		s.changed |= deadChanged << id
	} else {
		sp.bytes += e.rec.bytes()
		if e.prev == nil && s.graves[id].raise(sp, e.rec.key()) {
			s.changed |= deadChanged << id
		}
	}
	s.moveHolds(id, e)
}

// outdated counts a version that is no longer live, or a tombstone.
func (s *space) outdated(r *record) {
	s.versions++
	s.versionBytes += r.bytes()
}

// moveHolds brings the leases' lists of keys in line with one event.
func (s *State) moveHolds(id registry.Space, e event) {
	var was, is *attrs = &noAttrs, e.rec.extra()
	if e.prev != nil {
		was = e.prev.extra()
	}
	if was == is {
		return
	}
	holds := func(a *attrs, l registry.LeaseID) bool { return l != 0 && (a.lease == l || a.lock.Holder == l) }
	for _, l := range [...]registry.LeaseID{was.lease, was.lock.Holder} {
		if l != 0 && !holds(is, l) {
			s.holds.Delete(hold{l, id, e.rec.key()})
			s.changed |= holdsChanged
		}
	}
	for _, l := range [...]registry.LeaseID{is.lease, is.lock.Holder} {
		if l != 0 && !holds(was, l) {
			s.holds.Set(hold{l, id, strings.Clone(e.rec.key())})
			s.changed |= holdsChanged
		}
	}
}
