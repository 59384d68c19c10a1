package httpserver

import (
	"context"
	"fmt"
	"net/http"

	"herald/httpserver/api"
	"herald/registry"
)

// raftConfiguration is GET /v1/operator/raft/configuration.
func (s *surface) raftConfiguration(q *request) error {
	members, err := s.cluster.Members(q.r.Context())
	if err != nil {
		return err
	}
	out := api.RaftConfiguration{Servers: []api.RaftServer{}, Index: s.cluster.Status().LastIndex}
	for _, m := range members {
		out.Servers = append(out.Servers, api.RaftServer{
			ID: m.ID, Node: m.Name, Address: m.Address, Leader: m.Leader, Voter: m.Suffrage == registry.Voter, ProtocolVersion: "3",
		})
	}
	return q.json(http.StatusOK, out)
}

// raftRemovePeer is DELETE /v1/operator/raft/peer?id= or ?address=: takes a server out
// of the cluster, alive or not.
func (s *surface) raftRemovePeer(q *request) error {
	op, err := s.canChange()
	if err != nil {
		return err
	}
	id, address := q.query.get("id"), q.query.get("address")
	switch {
	case id == "" && address == "":
		return refuse(http.StatusBadRequest, "Say which server is to go, with ?id= or with ?address=; /v1/members lists them.")
	case id != "" && address != "":
		return refuse(http.StatusBadRequest, "Name the server with one of ?id= and ?address=, not with both.")
	case address != "":
		m, err := s.member(q.r.Context(), "peer address", address, func(m *registry.Member) bool { return m.Address == address })
		if err != nil {
			return err
		}
		id = m.ID
	}
	if err := op.Remove(q.caller(registry.ReasonOperator), id); err != nil {
		return err
	}
	return q.empty()
}

// raftTransfer is POST (or PUT) /v1/operator/raft/transfer-leader?id=: hands leadership
// to a server, or without an id to the one that is closest behind.
func (s *surface) raftTransfer(q *request) error {
	op, err := s.canChange()
	if err != nil {
		return err
	}
	if err := op.Transfer(q.caller(registry.ReasonOperator), q.query.get("id")); err != nil {
		return err
	}
	return q.json(http.StatusOK, api.Transferred{Success: true})
}

// canChange is the operator of the store, or why there is none.
func (s *surface) canChange() (registry.Operator, error) {
	if s.operator == nil {
		return nil, refuse(http.StatusNotImplemented, "This server's store has no cluster to change, no snapshot to save and none to restore.")
	}
	return s.operator, nil
}

// member finds one server. what and value say in an error how it was looked for.
func (s *surface) member(ctx context.Context, what, value string, is func(*registry.Member) bool) (*registry.Member, error) {
	members, err := s.cluster.Members(ctx)
	if err != nil {
		return nil, err
	}
	for i := range members {
		if is(&members[i]) {
			return &members[i], nil
		}
	}
	return nil, fmt.Errorf("%w: none has the %s %q; /v1/members lists them", registry.ErrMemberNotFound, what, value)
}
