package agent

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"herald/registry"
)

// draft is a change of definitions that is being made: the maps as they would be.
// Nothing of it shows until it is committed, so an error on the way changes
// nothing. Agent.edit is held for as long as it lives.
type draft struct {
	services map[string]*service
	checks   map[string]*healthCheck
	// The ids that differ from the state's, or may.
	touchedServices, touchedChecks map[string]bool
}

func (s *state) draft() *draft {
	return &draft{
		services: maps.Clone(s.services), checks: maps.Clone(s.checks),
		touchedServices: map[string]bool{}, touchedChecks: map[string]bool{},
	}
}

func (d *draft) empty() bool { return len(d.touchedServices) == 0 && len(d.touchedChecks) == 0 }

// putService registers a service. The checks it has and p does not name stay if
// keep says so; those of maintenance mode always do. An error changes nothing.
func (d *draft) putService(p prepared, o owner, keep func(*healthCheck) bool) error {
	id := p.def.ID
	old := d.services[id]
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
		c := d.checks[checkID]
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
	d.touchedServices[id] = true
	return nil
}

// unchanged reports whether registering p would leave its service as it is.
func (d *draft) unchanged(old *service, p prepared, keep func(*healthCheck) bool) bool {
	if !sameDefinition(old.def, p.def) {
		return false
	}
	named := 0
	for _, c := range p.checks {
		have := d.checks[c.def.ID]
		if have == nil || !have.part || !sameDefinition(have.def, c.def) {
			return false
		}
		named++
	}
	for _, id := range d.checksOf(p.def.ID) {
		c := d.checks[id]
		isNamed := slices.ContainsFunc(p.checks, func(q preparedCheck) bool { return q.def.ID == id })
		if !isNamed && c.def.Kind != kindMaintenance && !keep(c) {
			return false
		}
	}
	return true
}

// clash is why a check cannot be registered, nil if it can.
func (d *draft) clash(p preparedCheck) error {
	if have := d.checks[p.def.ID]; have != nil && have.def.ServiceID != p.def.ServiceID {
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
	have := d.checks[p.def.ID]
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
	if have := d.checks[p.def.ID]; have != nil {
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
	d.touchedChecks[c.def.ID] = true
}

func (d *draft) dropService(id string) {
	for _, c := range d.checksOf(id) {
		delete(d.checks, c)
		d.touchedChecks[c] = true
	}
	delete(d.services, id)
	d.touchedServices[id] = true
}

func (d *draft) dropCheck(id string) {
	c := d.checks[id]
	delete(d.checks, id)
	d.touchedChecks[id] = true
	d.dropPart(c.def.ServiceID, id)
}

// dropPart takes a check out of its service's definition.
func (d *draft) dropPart(serviceID, id string) {
	sv := d.services[serviceID]
	if sv == nil || !slices.Contains(sv.parts, id) {
		return
	}
	next := *sv
	next.parts = slices.DeleteFunc(slices.Clone(sv.parts), func(p string) bool { return p == id })
	d.services[serviceID] = &next
	d.touchedServices[serviceID] = true
}

// checksOf returns the ids of all checks of a service, sorted.
func (d *draft) checksOf(serviceID string) []string {
	var ids []string
	for id, c := range d.checks {
		if c.def.ServiceID == serviceID {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
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
// are refused, stay as they are. d has no change of s yet.
func (d *draft) replaceSource(s *state, o owner, services []prepared, held map[string]bool) (refused []error) {
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
		*d = *s.draft()
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
	for id, sv := range maps.Clone(d.services) {
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
	for id, c := range maps.Clone(d.checks) {
		if d.checks[id] != nil && c.owner == o && !c.part && !stayLone[id] {
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

// commitLocked makes a draft the state. It returns the runs that are new, and
// ends those that are no longer wanted.
func (s *state) commitLocked(d *draft, now time.Time) (started []*healthCheck) {
	for id := range d.touchedChecks {
		old, next := s.checks[id], d.checks[id]
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
	s.services, s.checks = d.services, d.checks
	s.generation++
	s.defined = s.generation
	return started
}
