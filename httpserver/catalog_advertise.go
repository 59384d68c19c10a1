package httpserver

import (
	"context"
	"net/http"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
)

// catalogAdvertise is PUT /v1/catalog/advertise: the catalog's records of one node
// become what the body says.
func (s *surface) catalogAdvertise(q *request) error {
	var body api.Advertisement
	if err := s.readJSON(q, &body, false); err != nil {
		return err
	}
	if err := s.agentsDatacenter(body.Datacenter, &body.Node); err != nil {
		return err
	}
	return s.advertise(q, func(ctx context.Context) error {
		want := catalog.NodeRecords{Node: body.Node, Instances: body.Instances, Checks: body.Checks}
		return catalog.Advertise(ctx, s.store, registry.LeaseID(body.Lease), want)
	})
}

// catalogAdvertiseChanges is PUT /v1/catalog/advertise/changes: those of a node's
// records that the body names become what it says, if the node is as it was advertised
// last.
func (s *surface) catalogAdvertiseChanges(q *request) error {
	var body api.AdvertisedChanges
	if err := s.readJSON(q, &body, false); err != nil {
		return err
	}
	if err := s.agentsDatacenter(body.Datacenter, &body.Node); err != nil {
		return err
	}
	return s.advertise(q, func(ctx context.Context) error {
		changes := catalog.NodeChanges{
			Node: body.Node, Instances: body.Instances, Checks: body.Checks, GoneInstances: body.GoneInstances,
		}
		for _, c := range body.GoneChecks {
			changes.GoneChecks = append(changes.GoneChecks, catalog.CheckRef(c))
		}
		return catalog.AdvertiseChanges(ctx, s.store, registry.LeaseID(body.Lease), changes)
	})
}

// agentsDatacenter refuses the agent of another datacenter.
func (s *surface) agentsDatacenter(dc string, node *registry.Node) error {
	if dc == "" || strings.EqualFold(dc, s.datacenter) {
		return nil
	}
	return because(registry.ErrInvalid, http.StatusBadRequest,
		"Node %q is of datacenter %q, and this server is of datacenter %q: give the agent servers of its own datacenter, or its setting datacenter theirs.",
		node.Name, dc, s.datacenter)
}

// advertise answers once what write has written is in this server's copy.
func (s *surface) advertise(q *request, write func(ctx context.Context) error) error {
	ctx := q.caller(registry.ReasonAgent)
	if err := write(ctx); err != nil {
		return err
	}
	// It is there by now, or the read asks for it.
	if _, _, err := s.fresh(ctx, modeDefault); err != nil {
		return err
	}
	return q.bool(true)
}
