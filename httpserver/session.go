package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/session"
)

// sessionCreate is PUT /v1/session/create. Fields that it does not know are let through, as
// clients expect of this endpoint.
func (s *surface) sessionCreate(q *request) error {
	b, err := s.readBody(q, s.live().MaxBodyBytes, "max_body_bytes")
	if err != nil {
		return err
	}
	var body sessionBody
	if len(b) > 0 {
		if err := decodeJSON(b, &body, false); err != nil {
			return err
		}
	}
	want, err := body.session(session.Limits{MinTTL: s.cfg.SessionTTLMin, MaxTTL: session.DefaultLimits().MaxTTL})
	if err != nil {
		return err
	}
	if want.Node == "" {
		// An agent that passes the request on is the client's node.
		if want.Node = q.r.Header.Get(api.HeaderForwarded); want.Node == "" {
			want.Node = s.node
		}
	}
	id, err := s.sessions.Create(q.caller(registry.ReasonClient), want)
	var missing *session.CheckError
	switch {
	case errors.As(err, &missing):
		return refuse(http.StatusInternalServerError, "apply failed: "+missing.Error())
	case err != nil:
		return err
	}
	return q.json(http.StatusOK, struct{ ID session.ID }{id})
}

// sessionBody is what PUT /v1/session/create takes.
type sessionBody struct {
	Name, Node string
	TTL        string
	LockDelay  *lockDelay
	Behavior   string
	// A list that is there and null differs from one that is not there.
	NodeChecks    json.RawMessage
	Checks        json.RawMessage
	ServiceChecks []api.ServiceCheck
}

// session is the session that is asked for. Which checks it has follows what clients know:
// the older Checks says what NodeChecks does not, and adds the node's own check unless it
// is empty.
func (b *sessionBody) session(limits session.Limits) (want session.Session, err error) {
	want = session.Session{Name: b.Name, Node: b.Node, TTLText: b.TTL, LockDelay: defaultLockDelay, Behavior: session.Release}
	if b.LockDelay != nil {
		want.LockDelay = time.Duration(*b.LockDelay)
	}
	switch session.Behavior(b.Behavior) {
	case "", session.Release:
	case session.Delete:
		want.Behavior = session.Delete
	default:
		return want, refusef(http.StatusInternalServerError, "Invalid Behavior setting '%s'", b.Behavior)
	}
	if b.TTL != "" {
		want.TTL, err = time.ParseDuration(b.TTL)
		if err != nil {
			return want, refusef(http.StatusInternalServerError, "Session TTL '%s' invalid: %v", b.TTL, err)
		}
		if want.TTL != 0 && (want.TTL < limits.MinTTL || want.TTL > limits.MaxTTL) {
			return want, refusef(http.StatusInternalServerError, "Invalid Session TTL '%d', must be between [%s=%s]", want.TTL, brief(limits.MinTTL), brief(limits.MaxTTL))
		}
	}
	var nodeChecks, checks []string
	if err := decodeChecks(b.NodeChecks, &nodeChecks); err != nil {
		return want, err
	}
	if err := decodeChecks(b.Checks, &checks); err != nil {
		return want, err
	}
	switch {
	case b.NodeChecks != nil && len(nodeChecks) == 0:
		want.NodeChecks = []string{}
	case b.NodeChecks != nil:
		want.NodeChecks, want.Checks = nodeChecks, checks
	case b.Checks != nil && len(checks) == 0:
		want.NodeChecks = []string{}
	default:
		want.NodeChecks, want.Checks = []string{session.ServerCheck}, checks
	}
	for _, c := range b.ServiceChecks {
		want.ServiceChecks = append(want.ServiceChecks, c.ID)
	}
	return want, nil
}

func decodeChecks(b json.RawMessage, to *[]string) error {
	if b == nil {
		return nil
	}
	if err := json.Unmarshal(b, to); err != nil {
		return because(registry.ErrInvalid, http.StatusBadRequest, "Request decode failed: a list of check ids: %v", err)
	}
	return nil
}

// brief spells a duration without the units that are 0.
func brief(d time.Duration) string {
	if d >= time.Hour && d%time.Hour == 0 {
		return fmt.Sprintf("%dh0m0s", d/time.Hour)
	}
	return d.String()
}

const (
	defaultLockDelay = 15 * time.Second
	// lockDelayIsSeconds is below what numbers are taken for seconds: a lock delay of a few
	// nanoseconds is not what was meant.
	lockDelayIsSeconds = 1000
)

// lockDelay is a duration as clients spell it: as text, in nanoseconds, or, if it is a small
// number, in seconds.
type lockDelay time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *lockDelay) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	var n time.Duration
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		parsed, err := time.ParseDuration(v)
		if err != nil {
			return fmt.Errorf("LockDelay: %w", err)
		}
		n = parsed
	case float64:
		n = time.Duration(v)
	default:
		return fmt.Errorf("LockDelay: want a duration such as \"15s\", not %s", b)
	}
	if n < 0 {
		return fmt.Errorf("LockDelay: %v is below 0", n)
	}
	if n < lockDelayIsSeconds {
		n *= time.Second
	}
	*d = lockDelay(n)
	return nil
}

// sessionRenew is PUT /v1/session/renew/<id>.
func (s *surface) sessionRenew(q *request) error {
	id, err := q.need("Missing session")
	if err != nil {
		return err
	}
	ses, err := s.sessions.Renew(q.caller(registry.ReasonClient), session.ID(id))
	switch {
	case errors.Is(err, session.ErrNotFound):
		return refusef(http.StatusNotFound, "Session id '%s' not found", id)
	case err != nil:
		return err
	}
	return q.json(http.StatusOK, []api.Session{sessionJSON(ses)})
}

// sessionDestroy is PUT /v1/session/destroy/<id>.
func (s *surface) sessionDestroy(q *request) error {
	id, err := q.need("Missing session")
	if err != nil {
		return err
	}
	if err := s.sessions.Destroy(q.caller(registry.ReasonSessionEnd), session.ID(id)); err != nil {
		return err
	}
	return q.bool(true)
}

// sessionInfo is GET /v1/session/info/<id>.
func (s *surface) sessionInfo(q *request) error {
	id, err := q.need("Missing session")
	if err != nil {
		return err
	}
	return s.sessionsIn(q, registry.One(session.Key(session.ID(id))), "")
}

// sessionNode is GET /v1/session/node/<node>.
func (s *surface) sessionNode(q *request) error {
	node, err := q.need("Missing node name")
	if err != nil {
		return err
	}
	return s.sessionsIn(q, session.Keys(), node)
}

// sessionList is GET /v1/session/list.
func (s *surface) sessionList(q *request) error {
	return s.sessionsIn(q, session.Keys(), "")
}

// sessionsIn answers with the sessions of a range, on a node if one is named.
func (s *surface) sessionsIn(q *request, keys registry.KeyRange, node string) error {
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return err
	}
	r := registry.RangeRequest{Space: registry.SpaceSession, KeyRange: keys, SkipCount: true, WithLastChange: true}
	res, idx, err := s.rangeBlock(q, &o, func(ctx context.Context) (registry.RangeResult, uint64, error) {
		res, err := s.read(ctx, o.mode, r)
		return res, index(res.LastChange), err
	}, r.Space, keys)
	if err != nil {
		return err
	}
	all, err := session.Decode(res.KVs)
	if err != nil {
		return err
	}
	list := make([]api.Session, 0, len(all))
	for i := range all {
		if node == "" || catalog.NodeTopic(all[i].Node) == catalog.NodeTopic(node) {
			list = append(list, sessionJSON(&all[i]))
		}
	}
	s.readHeaders(q.header(), o.mode, idx, res.Age)
	return q.json(http.StatusOK, list)
}

func sessionJSON(s *session.Session) api.Session {
	out := api.Session{
		ID: string(s.ID), Name: s.Name, Node: s.Node, LockDelay: s.LockDelay, Behavior: string(s.Behavior), TTL: s.TTLText,
		NodeChecks: s.NodeChecks, Checks: s.Checks, CreateIndex: uint64(s.CreateIndex), ModifyIndex: uint64(s.ModifyIndex),
	}
	for _, id := range s.ServiceChecks {
		out.ServiceChecks = append(out.ServiceChecks, api.ServiceCheck{ID: id})
	}
	return out
}

// lock is a put with ?acquire= or ?release=, and whether it is one. Without either, ok is
// false and done is nothing. The put's lease is made with it, if it has to be.
func (s *surface) lock(ctx context.Context, q *request, put registry.PutRequest, lease *attachment) (done, ok bool, err error) {
	id, acquire := q.query.lookup("acquire")
	if !acquire {
		if id, ok = q.query.lookup("release"); !ok {
			return false, false, nil
		}
	}
	switch {
	case id == "":
		err = refuse(http.StatusInternalServerError, "missing session: name the one that PUT /v1/session/create returned")
	case acquire:
		done, err = s.sessions.Acquire(ctx, session.ID(id), put, lease.with()...)
	default:
		done, err = s.sessions.Release(ctx, session.ID(id), put, lease.with()...)
	}
	if errors.Is(err, session.ErrNotFound) {
		// Clients match on how this begins.
		err = refusef(http.StatusInternalServerError, "invalid session %q: there is none of that id, or it has ended", id)
	}
	return done, true, err
}
