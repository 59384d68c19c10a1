package httpserver

import (
	"errors"
	"net/http"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// leaseGrant is PUT /v1/lease/grant.
func (s *surface) leaseGrant(q *request) error {
	var body api.LeaseGrant
	if err := s.readJSON(q, &body, true); err != nil {
		return err
	}
	ttl, err := time.ParseDuration(body.TTL)
	if err != nil {
		return because(registry.ErrInvalidTTL, http.StatusBadRequest,
			`Invalid TTL %q: want a duration such as "15s", or "0s" for a lease that ends only when it is revoked`, body.TTL)
	}
	l, err := s.store.GrantLease(q.caller(registry.ReasonClient), registry.LeaseID(body.ID), ttl)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, api.FromLease(l))
}

// leaseKeepAlive is PUT /v1/lease/keepalive/<id>.
func (s *surface) leaseKeepAlive(q *request) error {
	id, err := q.leaseArg()
	if err != nil {
		return err
	}
	l, err := s.store.KeepAlive(q.caller(registry.ReasonClient), id)
	if err != nil {
		return noLease(err, id)
	}
	return q.json(http.StatusOK, api.FromLease(l))
}

// leaseRevoke is PUT /v1/lease/revoke/<id>.
func (s *surface) leaseRevoke(q *request) error {
	id, err := q.leaseArg()
	if err != nil {
		return err
	}
	if _, err := s.store.RevokeLease(q.caller(registry.ReasonClient), id); err != nil {
		return noLease(err, id)
	}
	return q.bool(true)
}

// leaseGet is GET /v1/lease/<id>: the lease with what is attached to it.
func (s *surface) leaseGet(q *request) error {
	id, err := q.leaseArg()
	if err != nil {
		return err
	}
	l, err := s.store.Lease(q.r.Context(), id, true)
	if err != nil {
		return noLease(err, id)
	}
	return q.json(http.StatusOK, api.FromLease(l))
}

// leaseList is GET /v1/leases: the ids of all leases.
func (s *surface) leaseList(q *request) error {
	ids, err := s.store.ListLeases(q.r.Context())
	if err != nil {
		return err
	}
	list := make([]api.LeaseID, len(ids))
	for i, id := range ids {
		list[i] = api.LeaseID(id)
	}
	return q.json(http.StatusOK, list)
}

// noLease says of a lease that is not there what to do; other errors it leaves.
func noLease(err error, id registry.LeaseID) error {
	if !errors.Is(err, registry.ErrLeaseNotFound) {
		return err
	}
	return because(err, http.StatusNotFound, "lease not found: %d has ended, or never was: have one made by /v1/lease/grant, or with ?ttl= by what is to go with it", id)
}

// leaseArg is the lease that the path names.
func (q *request) leaseArg() (registry.LeaseID, error) {
	arg, err := q.need("Missing lease id")
	if err != nil {
		return 0, err
	}
	id, err := api.ParseLeaseID(arg)
	if err != nil || id == 0 {
		return 0, refusef(http.StatusBadRequest, "Invalid lease id %q: want the decimal id that /v1/lease/grant returned", arg)
	}
	return registry.LeaseID(id), nil
}
