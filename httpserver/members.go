package httpserver

import (
	"fmt"
	"net/http"

	"herald/httpserver/api"
	"herald/registry"
)

// members is GET /v1/members: the servers as they say they are, how the cluster looks
// from this one, and how many may fail. It needs no leader.
func (s *surface) members(q *request) error {
	members, err := s.cluster.Members(q.r.Context())
	if err != nil {
		return err
	}
	if members == nil {
		members = []registry.Member{}
	}
	return q.json(http.StatusOK, api.Members{
		Status: s.cluster.Status(), Members: members, Tolerance: registry.ToleranceOf(members),
	})
}

// agentJoin is PUT /v1/agent/join/<peer address>: this server, which is part of no
// cluster, becomes part of the one that the other is part of.
func (s *surface) agentJoin(q *request) error {
	address, err := q.need("Missing peer address")
	if err != nil {
		return err
	}
	op, err := s.ownOperator("it joins servers by its setting join, as it starts")
	if err != nil {
		return err
	}
	if err := op.Join(q.caller(registry.ReasonOperator), address); err != nil {
		return err
	}
	return q.empty()
}

// agentLeave is PUT /v1/agent/leave: this server leaves its cluster. The process goes
// on.
func (s *surface) agentLeave(q *request) error {
	op, err := s.ownOperator("stop the process, and what it advertises is withdrawn")
	if err != nil {
		return err
	}
	if err := op.Leave(q.caller(registry.ReasonOperator)); err != nil {
		return err
	}
	return q.empty()
}

// ownOperator is the operator of the store in this process.
func (s *surface) ownOperator(instead string) (registry.Operator, error) {
	if s.store == nil {
		return nil, refusef(http.StatusBadRequest, "This is an agent, which is part of no cluster of servers: %s.", instead)
	}
	return s.canChange()
}

// agentForceLeave is PUT /v1/agent/force-leave/<name>: takes a server out of the
// cluster that does not answer any more.
func (s *surface) agentForceLeave(q *request) error {
	name, err := q.need("Missing node name")
	if err != nil {
		return err
	}
	op, err := s.canChange()
	if err != nil {
		return err
	}
	m, err := s.member(q.r.Context(), "name", name, func(m *registry.Member) bool { return m.Name == name || m.ID == name })
	if err != nil {
		return err
	}
	if m.Alive {
		return fmt.Errorf("%w: server %s is alive; have it leave, or remove it with `herald members remove`", registry.ErrMembership, name)
	}
	if err := op.Remove(q.caller(registry.ReasonOperator), m.ID); err != nil {
		return err
	}
	return q.empty()
}
