package agent

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"herald/registry"
	"herald/registry/catalog"
)

// origin is who defined something, in order of who may replace whom.
type origin uint8

const (
	fromConfig origin = iota + 1
	fromFile
	fromAPI
	fromSource
)

// owner is an origin and, for a source, which.
type owner struct {
	origin origin
	source string
}

func (o owner) String() string {
	switch o.origin {
	case fromConfig:
		return "the agent itself"
	case fromFile:
		return "a configuration file"
	case fromSource:
		return "source " + o.source
	default:
		return "the API"
	}
}

// mayReplace reports whether o may take an id that p holds.
func (o owner) mayReplace(p owner) bool {
	switch o.origin {
	case fromConfig:
		return true
	case fromSource:
		return o == p
	default:
		return p.origin != fromConfig
	}
}

// service is an instance to be advertised. It is immutable; a change makes
// another. Its checks are in state.checks.
type service struct {
	def      registry.ServiceDefinition // complete; without Checks
	owner    owner
	warnings []string
	// parts are the ids of the checks that belong to the definition, in its order.
	parts []string
}

// healthCheck is a check. It is immutable; a change makes another, which takes
// over the run if what is run stays the same.
type healthCheck struct {
	def     registry.CheckDefinition // complete
	checker registry.Checker         // nil for kinds that nobody runs here
	owner   owner
	// part says that it belongs to its service's definition, rather than having
	// been registered by itself.
	part bool
	run  *run
}

// run is how a check stands. state.mu guards it.
type run struct {
	status registry.HealthStatus
	output string
	tally  tally
	// shown is the output as it is advertised, since shownAt.
	shown   string
	shownAt time.Time
	// criticalSince is the zero time unless the status is critical.
	criticalSince time.Time
	// deadline is when a ttl check expires; reported is when it was last reported,
	// the zero time if it never was.
	deadline, reported time.Time

	stop  context.CancelFunc // ends its goroutine; nil before there is one
	ended bool               // the check is no longer wanted
}

// state is the desired state of the catalog: what there is and how it is.
//
// mu guards all of it. The maps and defined are written with Agent.edit held too,
// so whoever holds edit may read them without mu.
type state struct {
	mu       sync.Mutex
	services map[string]*service
	checks   map[string]*healthCheck
	// checksOf are the ids in checks by service, "" for the node's own; sorted.
	checksOf map[string][]string
	// aliases are the ids of the alias checks that follow checks here, by whose: a
	// service's, or with "" the node's own.
	aliases map[string]map[string]bool
	// generation counts the changes of what is to be advertised. defined is the
	// generation of the last change that was not just a check's result.
	generation, defined uint64
	pending             pending
	// holds are the leases that services hang from beside the agent's own.
	holds map[registry.LeaseID]hold
	node  registry.Node // whose state it is
	// tell is told of each change of a check's status, with mu held.
	tell func(def *registry.CheckDefinition, before, now registry.HealthStatus, output string)
}

func newState(node registry.Node) state {
	return state{
		services: map[string]*service{}, checks: map[string]*healthCheck{}, checksOf: map[string][]string{},
		aliases: map[string]map[string]bool{}, holds: map[registry.LeaseID]hold{}, node: node,
	}
}

// setLocked gives a check's run a status and output, and those that follow it theirs. It
// reports whether any of that is to be advertised.
func (s *state) setLocked(def *registry.CheckDefinition, r *run, status registry.HealthStatus, output string, now time.Time) bool {
	before := r.status
	shows := s.setOneLocked(def, r, status, output, now)
	if status != before {
		s.followLocked(now, def.ServiceID)
	}
	return shows
}

func (s *state) setOneLocked(def *registry.CheckDefinition, r *run, status registry.HealthStatus, output string, now time.Time) bool {
	if before := r.status; status != before {
		s.tell(def, before, status, output)
	}
	r.output = output
	switch {
	case status != r.status:
		r.status = status
		r.criticalSince = time.Time{}
		if status == registry.Critical {
			r.criticalSince = now
		}
		r.shown, r.shownAt = output, now
	case !r.showLocked(now):
		return false
	}
	s.generation++
	s.pending.check(def)
	return true
}

// showLocked takes up the newest output if that is due.
func (r *run) showLocked(now time.Time) bool {
	if r.output == r.shown || now.Sub(r.shownAt) < outputEvery {
		return false
	}
	r.shown, r.shownAt = r.output, now
	return true
}

// recordsLocked is what the catalog should hold now.
func (s *state) recordsLocked(node registry.Node, now time.Time) catalog.NodeRecords {
	want := catalog.NodeRecords{
		Node:      node,
		Instances: make([]registry.Instance, 0, len(s.services)),
		Checks:    make([]registry.Check, 0, len(s.checks)+1),
	}
	for _, id := range slices.Sorted(maps.Keys(s.services)) {
		if sv := s.services[id]; s.aliveLocked(sv) {
			want.Instances = append(want.Instances, sv.def.Instance(node.Name))
		}
	}
	want.Checks = append(want.Checks, registry.Check{
		Node: node.Name, ID: registry.NodeCheckID, Name: "Serf Health Status",
		Status: registry.Passing, Output: "Agent alive and reachable",
	})
	for _, id := range slices.Sorted(maps.Keys(s.checks)) {
		c := s.checks[id]
		if !s.shownLocked(c) {
			continue
		}
		want.Checks = append(want.Checks, s.shownRecordLocked(c, node.Name, now))
	}
	return want
}

// shownLocked reports whether a check is advertised as far as its service's lease goes.
func (s *state) shownLocked(c *healthCheck) bool {
	of := s.services[c.def.ServiceID]
	return of == nil || s.aliveLocked(of)
}

// shownRecordLocked is a check as it is to be advertised.
func (s *state) shownRecordLocked(c *healthCheck, node string, now time.Time) registry.Check {
	c.run.showLocked(now)
	record := s.recordLocked(c, node)
	record.Output = c.run.shown
	return record
}

func (s *state) checkLocked(id string) *healthCheck { return s.checks[id] }

// recordLocked is a check as the catalog holds it, with its newest output.
func (s *state) recordLocked(c *healthCheck, node string) registry.Check {
	r := registry.Check{
		Node: node, ID: c.def.ID, Name: c.def.Name, Status: c.run.status, Notes: c.def.Notes, Output: c.run.output,
		ServiceID: c.def.ServiceID, Kind: c.def.Kind, Interval: c.def.Interval, Timeout: c.def.Timeout,
	}
	if owner := s.services[c.def.ServiceID]; owner != nil {
		r.ServiceName = owner.def.Name
	}
	return r
}

// definition is a service's definition with the checks that belong to it.
func (sv *service) definition(check func(id string) *healthCheck) registry.ServiceDefinition {
	d := sv.def
	for _, id := range sv.parts {
		d.Checks = append(d.Checks, check(id).def)
	}
	return d
}
