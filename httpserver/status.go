package httpserver

import (
	"net/http"

	"herald/registry"
)

// statusLeader is GET /v1/status/leader: the leader's peer address, "" if none is
// known, which clients take for "not ready". So it is "" as well until this server is
// ready: its node, that node's check and its service are then in the catalog, where
// clients go on to look for them.
func (s *surface) statusLeader(q *request) error {
	if s.ready != nil && s.ready() != nil {
		return q.json(http.StatusOK, "")
	}
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
