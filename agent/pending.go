package agent

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"herald/registry"
	"herald/registry/catalog"
)

// maxPending is how many records are advertised as changes at most. Of more, everything is looked at.
const maxPending = 4096

// pending are the records that differ, or may, from what was advertised last. state.mu guards it.
type pending struct {
	services map[string]bool
	checks   map[catalog.CheckRef]bool
	// all says that there are too many of them, or that nobody knows which.
	all bool
}

func (p *pending) service(id string) {
	if p.room() {
		p.services[id] = true
	}
}

func (p *pending) check(def *registry.CheckDefinition) {
	if p.room() {
		p.checks[catalog.CheckRef{ServiceID: def.ServiceID, ID: def.ID}] = true
	}
}

// room makes room for one more.
func (p *pending) room() bool {
	if p.services == nil {
		p.services, p.checks = map[string]bool{}, map[catalog.CheckRef]bool{}
	}
	if len(p.services)+len(p.checks) >= maxPending {
		p.everything()
	}
	return !p.all
}

// everything forgets which, and knows that it may be any.
func (p *pending) everything() { *p = pending{all: true} }

// touchLocked notes what a draft changes of what is advertised. It is called before that is a part of the state.
func (s *state) touchLocked(d *draft) {
	for id, next := range d.services {
		s.pending.service(id)
		if old := s.services[id]; old != nil && next != nil && old.def.Name != next.def.Name {
			for _, check := range s.checksOf[id] { // which have the service's name
				s.pending.check(&s.checks[check].def)
			}
		}
	}
	for id, next := range d.checks {
		if old := s.checks[id]; old != nil {
			s.pending.check(&old.def)
		}
		if next != nil {
			s.pending.check(&next.def)
		}
	}
}

// changesLocked is what the catalog should hold of the records that are pending, and forgets them. ok is false if that may
// be any: recordsLocked then is what it should hold.
func (s *state) changesLocked(node registry.Node, now time.Time) (changes catalog.NodeChanges, ok bool) {
	p := s.pending
	s.pending = pending{}
	if p.all {
		return changes, false
	}
	changes.Node = node
	for _, id := range slices.Sorted(maps.Keys(p.services)) {
		if sv := s.services[id]; sv != nil && s.aliveLocked(sv) {
			changes.Instances = append(changes.Instances, sv.def.Instance(node.Name))
		} else {
			changes.GoneInstances = append(changes.GoneInstances, id)
		}
	}
	byRef := func(a, b catalog.CheckRef) int {
		return cmp.Or(cmp.Compare(a.ServiceID, b.ServiceID), cmp.Compare(a.ID, b.ID))
	}
	for _, ref := range slices.SortedFunc(maps.Keys(p.checks), byRef) {
		c := s.checks[ref.ID]
		if c == nil || c.def.ServiceID != ref.ServiceID || !s.shownLocked(c) {
			changes.GoneChecks = append(changes.GoneChecks, ref)
			continue
		}
		changes.Checks = append(changes.Checks, s.shownRecordLocked(c, node.Name, now))
	}
	return changes, true
}
