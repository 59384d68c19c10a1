package httpserver

import (
	"net/http"

	"herald/httpserver/api"
	"herald/registry"
)

// statusLeader is GET /v1/status/leader: the leader's peer address, "" if none is
// known, which clients take for "not ready".
func (s *surface) statusLeader(q *request) error {
	return q.json(http.StatusOK, s.cluster.Status().LeaderAt)
}

// statusPeers is GET /v1/status/peers: the voters' peer addresses.
func (s *surface) statusPeers(q *request) error {
	members, err := s.cluster.Members(q.r.Context())
	if err != nil {
		return err
	}
	peers := []string{}
	for _, m := range members {
		if m.Suffrage == registry.Voter {
			peers = append(peers, m.Address)
		}
	}
	return q.json(http.StatusOK, peers)
}

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

// members is GET /v1/members: the servers, and how the cluster looks from this one.
func (s *surface) members(q *request) error {
	members, err := s.cluster.Members(q.r.Context())
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, api.Members{Status: s.cluster.Status(), Members: members})
}
