package httpserver

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/query"
	"herald/registry/session"
)

// queryCreate is POST /v1/query.
func (s *surface) queryCreate(q *request) error {
	d, lease, err := s.readQuery(q)
	if err != nil {
		return err
	}
	if d.ID != "" {
		return refuse(http.StatusInternalServerError, "ID must be empty when creating a new prepared query")
	}
	d.ID = newUUID()
	if err := query.Create(q.caller(registry.ReasonClient), s.store, d, lease); err != nil {
		return badQuery(err)
	}
	return q.json(http.StatusOK, api.PreparedQueryID{ID: d.ID})
}

// queryUpdate is PUT /v1/query/<id>: the body takes the query's place.
func (s *surface) queryUpdate(q *request) error {
	id, err := queryID(q)
	if err != nil {
		return err
	}
	d, lease, err := s.readQuery(q)
	if err != nil {
		return err
	}
	d.ID = id
	err = s.changeQuery(q, id, func(ctx context.Context, old *query.Stored) (bool, error) {
		return query.Update(ctx, s.store, old, d, lease)
	})
	if err != nil {
		return err
	}
	return q.empty()
}

// queryDelete is DELETE /v1/query/<id>.
func (s *surface) queryDelete(q *request) error {
	id, err := queryID(q)
	if err != nil {
		return err
	}
	err = s.changeQuery(q, id, func(ctx context.Context, old *query.Stored) (bool, error) {
		return query.Delete(ctx, s.store, old)
	})
	if err != nil {
		return err
	}
	return q.empty()
}

// changeQuery changes the query as it stands, and again if it was another's meanwhile.
func (s *surface) changeQuery(q *request, id string, change func(context.Context, *query.Stored) (bool, error)) error {
	ctx := q.caller(registry.ReasonClient)
	for {
		old, err := query.ByID(ctx, s.store.Range, id)
		if err != nil {
			return err
		}
		if old == nil {
			return refusef(http.StatusInternalServerError, "Cannot modify non-existent prepared query %q", id)
		}
		if done, err := change(ctx, old); done || err != nil {
			return badQuery(err)
		}
	}
}

// readQuery reads a query from the body, and the lease that it is to end with.
func (s *surface) readQuery(q *request) (query.Definition, registry.LeaseID, error) {
	var body api.PreparedQuery
	if err := s.readJSON(q, &body, true); err != nil {
		return body.Definition, 0, err
	}
	if err := body.Validate(); err != nil {
		return body.Definition, 0, badQuery(err)
	}
	if body.Session == "" {
		return body.Definition, 0, nil
	}
	lease, err := s.sessionLease(q.r.Context(), body.Session)
	return body.Definition, lease, err
}

// sessionLease is the lease that a session lives by.
func (s *surface) sessionLease(ctx context.Context, name string) (registry.LeaseID, error) {
	id := session.ID(strings.ToLower(name))
	lease, ok := id.Lease()
	if !ok {
		return 0, invalidSession(name)
	}
	res, err := s.store.Range(ctx, registry.RangeRequest{Space: registry.SpaceSession, KeyRange: registry.One(session.Key(id)), CountOnly: true})
	if err == nil && res.Count == 0 {
		err = invalidSession(name)
	}
	return lease, err
}

func invalidSession(name string) error {
	return refusef(http.StatusInternalServerError, "invalid session %q: there is none of that id, or it has ended", name)
}

// badQuery says what is wrong with a definition in the words that clients match on.
func badQuery(err error) error {
	var wrong *query.InvalidError
	var alias *query.AliasError
	switch {
	case errors.As(err, &wrong):
		return because(err, http.StatusInternalServerError, "Invalid prepared query: %v", err)
	case errors.As(err, &alias):
		return because(err, http.StatusInternalServerError, "%v", err)
	case errors.Is(err, registry.ErrLeaseNotFound):
		return because(err, http.StatusInternalServerError, "invalid session: it has ended meanwhile")
	}
	return err
}

// queryID is the id that the path ends in.
func queryID(q *request) (string, error) {
	id, err := q.need("Missing query ID")
	if err == nil && !query.IsID(id) {
		err = refusef(http.StatusInternalServerError, "%q is not the ID of a prepared query, which is a UUID", id)
	}
	return strings.ToLower(id), err
}
