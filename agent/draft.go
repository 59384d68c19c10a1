package agent

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"herald/registry"
)

// draft is a change of definitions that is being made: what becomes of the ids
// that it touches, over what there is, so that it costs what it changes and not what
// the agent has. Nothing of it shows until it is committed, so an error on the way
// changes nothing. Agent.edit is held for as long as it lives.
type draft struct {
	state *state
	base  *draft // the changes that come between the state and this one; nil if none do

	// A nil service or check is dropped.
	services map[string]*service
	checks   map[string]*healthCheck
	// named are the ids in checks by the service that they were put on: what checksOf
	// finds and state.checksOf lacks.
	named map[string][]string
}

func (s *state) draft() *draft {
	return &draft{
		state: s, services: map[string]*service{}, checks: map[string]*healthCheck{}, named: map[string][]string{},
	}
}

// draft begins a change on top of d.
func (d *draft) draft() *draft {
	next := d.state.draft()
	next.base = d
	return next
}

// absorb makes next, which was begun on top of d, a part of it.
func (d *draft) absorb(next *draft) {
	maps.Copy(d.services, next.services)
	for id, c := range next.checks {
		if c != nil {
			d.setCheck(c)
		} else {
			d.checks[id] = nil
		}
	}
}

func (d *draft) empty() bool { return len(d.services) == 0 && len(d.checks) == 0 }

// service is the service of that id as d leaves it, nil if there is none.
func (d *draft) service(id string) *service {
	for ; d != nil; d = d.base {
		if sv, touched := d.services[id]; touched {
			return sv
		}
		if d.base == nil {
			return d.state.services[id]
		}
	}
	return nil
}

// check is the check of that id as d leaves it, nil if there is none.
func (d *draft) check(id string) *healthCheck {
	for ; d != nil; d = d.base {
		if c, touched := d.checks[id]; touched {
			return c
		}
		if d.base == nil {
			return d.state.checks[id]
		}
	}
	return nil
}

// everything is all that there is as d leaves it: for changes that are about
// everything.
func (d *draft) everything() (services map[string]*service, checks map[string]*healthCheck) {
	if d.base != nil {
		services, checks = d.base.everything()
	} else {
		services, checks = maps.Clone(d.state.services), maps.Clone(d.state.checks)
	}
	maps.Copy(services, d.services)
	maps.Copy(checks, d.checks)
	maps.DeleteFunc(services, func(_ string, sv *service) bool { return sv == nil })
	maps.DeleteFunc(checks, func(_ string, c *healthCheck) bool { return c == nil })
	return services, checks
}

// putService registers a service. The checks it has and p does not name stay if
// keep says so; those of maintenance mode always do. An error changes nothing.
func (d *draft) putService(p prepared, o owner, keep func(*healthCheck) bool) error {
	id := p.def.ID
	old := d.service(id)
	if old != nil && !o.mayReplace(old.owner) {
		return fmt.Errorf("%w: %q is defined by %s", registry.ErrDuplicateService, id, old.owner)
	}
	if old != nil && d.unchanged(old, p, keep) && (o == old.owner || o.origin == fromAPI && old.owner.origin == fromFile) {
		return nil // a client that registers what a file defines leaves it the file's
	}
	for _, c := range p.checks {
		if err := d.clash(c); err != nil {
			return fmt.Errorf("service %q: %w", id, err)
		}
	}
	next := &service{def: p.def, owner: o, warnings: p.warnings}
	for _, c := range p.checks {
		if err := d.putCheck(c, o, true); err != nil {
			return err
		}
		next.parts = append(next.parts, c.def.ID)
	}
	for _, checkID := range d.checksOf(id) {
		c := d.check(checkID)
		switch {
		case slices.Contains(next.parts, checkID) || c.def.Kind == kindMaintenance:
		case !keep(c):
			d.dropCheck(checkID)
		case c.part:
			d.setCheck(&healthCheck{def: c.def, checker: c.checker, owner: o, part: true, run: c.run})
			next.parts = append(next.parts, checkID)
		}
	}
	d.services[id] = next
	return nil
}

// unchanged reports whether registering p would leave its service as it is.
func (d *draft) unchanged(old *service, p prepared, keep func(*healthCheck) bool) bool {
	if !sameDefinition(old.def, p.def) {
		return false
	}
	named := 0
	for _, c := range p.checks {
		have := d.check(c.def.ID)
		if have == nil || !have.part || !sameDefinition(have.def, c.def) {
			return false
		}
		named++
	}
	for _, id := range d.checksOf(p.def.ID) {
		c := d.check(id)
		isNamed := slices.ContainsFunc(p.checks, func(q preparedCheck) bool { return q.def.ID == id })
		if !isNamed && c.def.Kind != kindMaintenance && !keep(c) {
			return false
		}
	}
	return true
}

// clash is why a check cannot be registered, nil if it can.
func (d *draft) clash(p preparedCheck) error {
	if have := d.check(p.def.ID); have != nil && have.def.ServiceID != p.def.ServiceID {
		return fmt.Errorf("check %q: %w", p.def.ID, invalid("the id belongs to a check of %s", whose(have.def.ServiceID)))
	}
	return nil
}

// putCheck registers a check. A run goes on if the definition is the same. An error
// changes nothing.
func (d *draft) putCheck(p preparedCheck, o owner, part bool) error {
	if err := d.clash(p); err != nil {
		return err
	}
	have := d.check(p.def.ID)
	next := &healthCheck{def: p.def, checker: p.checker, owner: o, part: part}
	if have != nil && sameDefinition(have.def, p.def) {
		if have.owner == o && have.part == part {
			return nil
		}
		next.checker, next.run = have.checker, have.run
	} else {
		next.run = newRun(p.def)
	}
	d.setCheck(next)
	return nil
}

func whose(serviceID string) string {
	if serviceID == "" {
		return "the node"
	}
	return fmt.Sprintf("service %q", serviceID)
}

// putLoneCheck registers a check by itself. If it stood in its service's
// definition, it no longer does.
func (d *draft) putLoneCheck(p preparedCheck, o owner) error {
	if have := d.check(p.def.ID); have != nil {
		if !o.mayReplace(have.owner) {
			return fmt.Errorf("check %q: %w", p.def.ID, invalid("it is defined by %s", have.owner))
		}
		if sameDefinition(have.def, p.def) && (have.owner == o || o.origin == fromAPI && have.owner.origin == fromFile) {
			return nil
		}
	}
	if err := d.putCheck(p, o, false); err != nil {
		return err
	}
	d.dropPart(p.def.ServiceID, p.def.ID)
	return nil
}

func (d *draft) setCheck(c *healthCheck) {
	d.checks[c.def.ID] = c
	if named := d.named[c.def.ServiceID]; !slices.Contains(named, c.def.ID) {
		d.named[c.def.ServiceID] = append(named, c.def.ID)
	}
}

func (d *draft) dropService(id string) {
	for _, c := range d.checksOf(id) {
		d.checks[c] = nil
	}
	d.services[id] = nil
}

func (d *draft) dropCheck(id string) {
	c := d.check(id)
	d.checks[id] = nil
	d.dropPart(c.def.ServiceID, id)
}

// dropPart takes a check out of its service's definition.
func (d *draft) dropPart(serviceID, id string) {
	sv := d.service(serviceID)
	if sv == nil || !slices.Contains(sv.parts, id) {
		return
	}
	next := *sv
	next.parts = slices.DeleteFunc(slices.Clone(sv.parts), func(p string) bool { return p == id })
	d.services[serviceID] = &next
}

// checksOf returns the ids of all checks of a service, sorted.
func (d *draft) checksOf(serviceID string) []string {
	ids := slices.Clone(d.state.checksOf[serviceID])
	for o := d; o != nil; o = o.base {
		ids = append(ids, o.named[serviceID]...)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool {
		c := d.check(id)
		return c == nil || c.def.ServiceID != serviceID
	})
	slices.Sort(ids)
	return slices.Compact(ids)
}

// replaceAll makes services and checks all that o defines.
func (d *draft) replaceAll(o owner, services []prepared, checks []preparedCheck) error {
	d.makeRoom(o, services, checks, nil)
	for _, p := range services {
		if err := d.putService(p, o, keepLone); err != nil {
			return err
		}
	}
	for _, c := range checks {
		if err := d.putLoneCheck(c, o); err != nil {
			return err
		}
	}
	return nil
}

// replaceSource makes services all that a source defines, but for those that are
// refused, which it returns the errors of. Services whose ids are held, and those that
// are refused, stay as they are. d has no change yet.
func (d *draft) replaceSource(o owner, services []prepared, held map[string]bool) (refused []error) {
	for {
		d.makeRoom(o, services, nil, held)
		var good []prepared
		for _, p := range services {
			if err := d.putService(p, o, keepLone); err != nil {
				refused = append(refused, err)
				held[p.def.ID] = true
				continue
			}
			good = append(good, p)
		}
		if len(good) == len(services) {
			return refused
		}
		// Room was made for what was then refused, and that may have been another's
		// check: again from the start, without it.
		services = good
		clear(d.services)
		clear(d.checks)
		clear(d.named)
	}
}

// keepLone keeps the checks that were registered by themselves.
func keepLone(c *healthCheck) bool { return !c.part }

// makeRoom drops what o defined and no longer does, so that the rest can be put. What
// is held stays.
func (d *draft) makeRoom(o owner, services []prepared, checks []preparedCheck, held map[string]bool) {
	stay := map[string]prepared{}
	for _, p := range services {
		stay[p.def.ID] = p
	}
	stayLone := map[string]bool{}
	for _, c := range checks {
		stayLone[c.def.ID] = true
	}
	// Everything that goes goes first, so that a check's id may move from one
	// service to another.
	allServices, allChecks := d.everything()
	for id, sv := range allServices {
		p, stays := stay[id]
		if !stays && sv.owner == o && !held[id] {
			d.dropService(id)
		}
		if !stays || !o.mayReplace(sv.owner) {
			continue
		}
		for _, part := range sv.parts {
			if !slices.ContainsFunc(p.checks, func(c preparedCheck) bool { return c.def.ID == part }) {
				d.dropCheck(part)
			}
		}
	}
	for id, c := range allChecks {
		if d.check(id) != nil && c.owner == o && !c.part && !stayLone[id] {
			d.dropCheck(id)
		}
	}
}

// newRun is a check that has not been run: what its definition says of it, or
// critical.
func newRun(d registry.CheckDefinition) *run {
	r := &run{status: d.Status}
	if r.status == "" {
		r.status = registry.Critical
	}
	return r
}

// commitLocked makes a draft that was begun on the state as it is a part of it. It
// returns the runs that are new, and ends those that are no longer wanted.
func (s *state) commitLocked(d *draft, now time.Time) (started []*healthCheck) {
	s.touchLocked(d)
	changed := slices.Collect(maps.Keys(d.services)) // whose checks may stand otherwise than before
	for id, next := range d.checks {
		old := s.checks[id]
		for _, c := range []*healthCheck{old, next} {
			if c != nil {
				changed = append(changed, c.def.ServiceID)
				if target, local := s.aliased(c); local {
					changed = append(changed, target)
				}
			}
		}
		s.putLocked(id, next)
		if old != nil && (next == nil || next.run != old.run) {
			old.run.ended = true
			if old.run.stop != nil {
				old.run.stop()
			}
		}
		if next == nil || old != nil && next.run == old.run {
			continue
		}
		r := next.run
		if r.status == registry.Critical {
			r.criticalSince = now
		}
		r.shownAt = now
		if old != nil && old.def.ServiceID == next.def.ServiceID && (next.def.Status == "" || next.def.Status == old.def.Status) {
			// The same check with other settings: how it stood is the best that is known.
			r.status, r.output, r.criticalSince = old.run.status, old.run.output, old.run.criticalSince
			r.shown, r.shownAt = old.run.shown, old.run.shownAt
			r.reported = old.run.reported
		}
		if next.def.TTL > 0 {
			r.deadline = now.Add(next.def.TTL)
		}
		started = append(started, next)
	}
	for id, next := range d.services {
		if next == nil {
			delete(s.services, id)
		} else {
			s.services[id] = next
		}
	}
	s.generation++
	s.defined = s.generation
	if len(s.aliases) > 0 {
		s.followLocked(now, changed...)
	}
	return started
}

// putLocked makes next the check of that id, or removes it if next is nil.
func (s *state) putLocked(id string, next *healthCheck) {
	s.indexAliasLocked(s.checks[id], next)
	if old := s.checks[id]; old != nil && (next == nil || next.def.ServiceID != old.def.ServiceID) {
		of := s.checksOf[old.def.ServiceID]
		if i, found := slices.BinarySearch(of, id); found {
			of = slices.Delete(of, i, i+1)
		}
		s.checksOf[old.def.ServiceID] = of
		if len(of) == 0 {
			delete(s.checksOf, old.def.ServiceID)
		}
	}
	if next == nil {
		delete(s.checks, id)
		return
	}
	s.checks[id] = next
	of := s.checksOf[next.def.ServiceID]
	if i, found := slices.BinarySearch(of, id); !found {
		s.checksOf[next.def.ServiceID] = slices.Insert(of, i, id)
	}
}
