package check

import (
	"fmt"
	"slices"
	"time"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// dns checks that no server, once it has known a service with an instance that is healthy
// throughout, says that there is none, and that no address is made up.
func (e *evidence) dns() Verdict {
	v := Verdict{Of: "answers for services that have a healthy instance"}
	steady, addresses := e.steadyServices()
	type at struct{ node, service string }
	known := map[at]time.Duration{} // since when
	silent := 0
	for i := range e.Asked {
		o := &e.Asked[i]
		if o.Outcome != history.OK {
			silent++
			continue
		}
		k := at{o.Node, o.Service}
		if since, ok := known[k]; len(o.Answers) > 0 && (!ok || o.Return < since) {
			known[k] = o.Return
		}
	}
	sure := e.certainties()
	for i := range e.Asked {
		o := &e.Asked[i]
		since, ok := known[at{o.Node, o.Service}]
		r := steady[o.Service]
		if o.Outcome != history.OK || r == nil || !ok || o.Call < since {
			continue
		}
		if s := sure[r.Lease]; r.Lease != 0 && (o.Call < s.from || o.Return > s.to) {
			continue
		}
		v.Checked++
		if len(o.Answers) == 0 {
			v.add(violation(fmt.Sprintf("server %s answered %s with no %s record for %s, which had a healthy instance throughout", o.Node, o.Code, o.Type, o.Service), *r, *o))
		}
		for _, a := range o.Answers {
			if o.Type == "A" && !slices.Contains(addresses[o.Service], a) {
				v.add(violation(fmt.Sprintf("server %s answered with %s for %s, which never had that address", o.Node, a, o.Service), *o))
			}
		}
	}
	if silent > 0 {
		v.note("%d queries were not answered, or with a failure such as SERVFAIL: the service was not to be had, which is not the same as not there", silent)
	}
	return v
}

// steadyServices are the services with an instance that was registered and never touched
// again, with that registration; and what addresses each service ever had.
func (e *evidence) steadyServices() (map[string]*history.Registered, map[string][]string) {
	steady := map[string]*history.Registered{}
	addresses := map[string][]string{}
	touched := map[string]bool{}
	for i := range e.Registered {
		if o := &e.Registered[i]; o.Gone || o.Sick {
			touched[o.Instance] = true
		}
	}
	for i := range e.Registered {
		o := &e.Registered[i]
		if !o.Gone && !slices.Contains(addresses[o.Service], o.Address) {
			addresses[o.Service] = append(addresses[o.Service], o.Address)
		}
		if o.Outcome == history.OK && !touched[o.Instance] && steady[o.Service] == nil {
			steady[o.Service] = o
		}
	}
	return steady, addresses
}

// certainties are when leases lived for certain: from the grant up to a time to live after the
// last renewal that succeeded was sent. It was there to be renewed, so it did not end in between.
func (e *evidence) certainties() map[registry.LeaseID]span {
	sure := map[registry.LeaseID]span{}
	for i := range e.Leased {
		o := &e.Leased[i]
		if o.Outcome != history.OK || o.Gone || o.Step != history.Grant && o.Step != history.Renew {
			continue
		}
		s, ok := sure[o.Lease]
		if !ok {
			s.from = o.Return
		}
		s.to = max(s.to, o.Call+time.Duration(float64(o.TTL)*(1-e.Plan.Drift)))
		sure[o.Lease] = s
	}
	return sure
}
