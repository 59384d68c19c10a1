package httpserver

import (
	"net/http"
	"strings"

	"herald/httpserver/api"
	"herald/httpserver/filter"
	"herald/registry/catalog"
)

// healthService is GET /v1/health/service/<service>: its instances with their nodes
// and checks; with ?passing only those of which nothing is wrong.
func (s *surface) healthService(q *request) error {
	sel := s.selection(q)
	var err error
	if sel.passing, err = q.passing(false); err != nil {
		return err
	}
	f, err := filterOf(q, &s.filters.entries)
	if err != nil {
		return err
	}
	return s.ofService(q, "health", &sel, func(v view, svc *catalog.Service) any {
		return sel.entries(v, svc, f)
	})
}

// entries are the selected instances of a service with their nodes and checks.
func (sel *selection) entries(v view, svc *catalog.Service, f *filter.Filter[api.ServiceEntry]) []api.ServiceEntry {
	list := []api.ServiceEntry{}
	for _, i := range sel.instances(svc) {
		list = append(list, v.entry(i))
	}
	return f.Select(list)
}

// healthChecks is GET /v1/health/checks/<service>: the checks of its instances.
func (s *surface) healthChecks(q *request) error {
	sel := s.selection(q)
	sel.tags = nil // the endpoint does not know them
	f, err := filterOf(q, &s.filters.checks)
	if err != nil {
		return err
	}
	return s.ofService(q, "checks", &sel, func(v view, svc *catalog.Service) any {
		list := []api.HealthCheck{}
		for _, i := range sel.instances(svc) {
			list = append(list, v.ownChecks(i)...)
		}
		return f.Select(list)
	})
}

// healthNode is GET /v1/health/node/<node>: every check on it.
func (s *surface) healthNode(q *request) error {
	f, err := filterOf(q, &s.filters.checks)
	if err != nil {
		return err
	}
	n, err := s.nodeNamed(q)
	if err != nil {
		return err
	}
	list := []api.HealthCheck{}
	if n != nil {
		list = f.Select(view{s.datacenter}.nodeChecks(n))
	}
	return q.json(http.StatusOK, list)
}

// healthState is GET /v1/health/state/<state>: every check in that state, or with
// "any" every check. A state that there is none of has no checks.
func (s *surface) healthState(q *request) error {
	state, err := q.need("Missing check state")
	if err != nil {
		return err
	}
	sel := s.selection(q)
	f, err := filterOf(q, &s.filters.checks)
	if err != nil {
		return err
	}
	topic := catalog.ChecksTopic
	if len(sel.meta) > 0 {
		topic = anything
	}
	x, err := s.catalogRead(q, topic)
	if err != nil {
		return err
	}
	list := []api.HealthCheck{}
	for n := range x.Nodes() {
		if !sel.node(n) {
			continue
		}
		for _, c := range (view{s.datacenter}).nodeChecks(n) {
			if state == "any" || strings.EqualFold(c.Status, state) {
				list = append(list, c)
			}
		}
	}
	return q.json(http.StatusOK, nearest(f.Select(list), sel.near, func(c *api.HealthCheck) string { return c.Node }))
}
