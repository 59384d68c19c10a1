package dnsserver

import (
	"context"
	"time"

	"herald/registry"
	prepared "herald/registry/query"
)

// maxTTL is the longest that a record may be cached.
const maxTTL = (1<<31 - 1) * time.Second

// queries finds a prepared query by its id or its name, in this process's own copy; nil if there is none.
type queries func(name string) (*prepared.Stored, error)

// storedQueries are those of a store, nil without one. They are found in its local copy.
func storedQueries(s registry.Store) queries {
	if s == nil {
		return nil
	}
	read := func(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
		r.Consistency = registry.Stale
		return s.Range(ctx, r)
	}
	return func(name string) (*prepared.Stored, error) {
		return prepared.Find(context.Background(), read, name)
	}
}

// prepared answers for a prepared query as for a service: its name exists while it
// finds an instance.
func (w *worker) prepared(owner int, l *lookup, depth int) end {
	if w.queries == nil {
		return end{noName, owner, l}
	}
	name := string(l.name)
	d, err := w.queries(name)
	switch {
	case err != nil:
		return end{failed, owner, l}
	case d == nil || prepared.IsID(name) && d.IsTemplate():
		return end{noName, owner, l}
	}
	if ttl, ok := d.TTL(); ok && ttl >= 0 {
		w.ttl, w.ttlSet = seconds(min(ttl, maxTTL)), true
	}
	w.query.edns.scopeSubnet()
	prefer := w.onNode(d.Service.Near)
	if prefer == nil {
		prefer = w.inZone(w.near())
	}
	instances := d.Execute(w.index, prepared.Options{})
	return w.planned(owner, l, w.newPlan(d.Service.Service, instances, kindOfPlan(w.query.qtype), l.zone, prefer), depth)
}

// scopeSubnet says in the option that is given back that the answer is for the client's
// subnet: which instances a prepared query prefers may depend on who asks (RFC 7871 section 7.2.1).
func (e *edns) scopeSubnet() {
	if e.subnetSize > 0 {
		e.subnet[7] = e.subnet[6]
	}
}
