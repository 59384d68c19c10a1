package httpserver

import (
	"net/http"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// healthyLag is how many entries a server's log may be behind the leader's for it to
// count as healthy.
const healthyLag = 250

// askedFor is how long a server may take to say how it is before it counts as failed
// (registry.Cluster.Members).
const askedFor = time.Second

// health is the cluster's health as the servers say it themselves.
type health struct {
	members []registry.Member
	leader  *registry.Member // nil if none is known
	tol     registry.Tolerance
}

func (s *surface) clusterHealth(q *request) (*health, error) {
	members, err := s.cluster.Members(q.r.Context())
	if err != nil {
		return nil, err
	}
	h := &health{members: members, tol: registry.ToleranceOf(members)}
	for i := range members {
		if members[i].Leader {
			h.leader = &members[i]
		}
	}
	return h, nil
}

// healthy reports whether a server answers without complaint, follows the leader and has
// about all that the leader has.
func (h *health) healthy(m *registry.Member) bool {
	return m.Alive && m.Error == "" && h.leader != nil && m.Term == h.leader.Term && m.Lag <= healthyLag
}

func (h *health) all() bool {
	for i := range h.members {
		if !h.healthy(&h.members[i]) {
			return false
		}
	}
	return h.leader != nil
}

// tolerates is how many voters may fail before writes stop.
func (h *health) tolerates() int { return max(0, h.tol.Failures) }

// autopilotConfiguration is GET /v1/operator/autopilot/configuration: how the cluster
// looks after its servers.
func (s *surface) autopilotConfiguration(q *request) error {
	return q.json(http.StatusOK, api.AutopilotConfiguration{
		CleanupDeadServers: true, LastContactThreshold: api.Duration(askedFor), MaxTrailingLogs: healthyLag, MinQuorum: registry.MinVoters,
		ServerStabilizationTime: api.Duration(s.tending.StabilizationTime), DeadServerAfter: api.Duration(s.tending.DeadServerAfter),
		CreateIndex: 1, ModifyIndex: 1,
	})
}

// autopilotConfigure refuses PUT /v1/operator/autopilot/configuration.
func (s *surface) autopilotConfigure(*request) error {
	return refuse(http.StatusBadRequest, "How servers are looked after is a setting of each server: change raft.stabilization_time or raft.dead_server_after there")
}

// autopilotHealth is GET /v1/operator/autopilot/health: 429 while anything is wrong.
func (s *surface) autopilotHealth(q *request) error {
	h, err := s.clusterHealth(q)
	if err != nil {
		return err
	}
	out := api.AutopilotHealth{Healthy: h.all(), FailureTolerance: h.tolerates(), Servers: []api.AutopilotServerHealth{}}
	for i := range h.members {
		m := &h.members[i]
		out.Servers = append(out.Servers, api.AutopilotServerHealth{
			ID: m.ID, Name: m.Name, Address: m.Address, SerfStatus: aliveText(m), Version: m.Version,
			Leader: m.Leader, LastContact: contact(m), LastTerm: m.Term, LastIndex: m.LastIndex,
			Healthy: h.healthy(m), Voter: m.Suffrage == registry.Voter,
		})
	}
	status := http.StatusOK
	if !out.Healthy {
		status = http.StatusTooManyRequests
	}
	return q.json(status, out)
}

// autopilotState is GET /v1/operator/autopilot/state.
func (s *surface) autopilotState(q *request) error {
	h, err := s.clusterHealth(q)
	if err != nil {
		return err
	}
	out := api.AutopilotState{
		Healthy: h.all(), FailureTolerance: h.tolerates(), OptimisticFailureTolerance: h.tolerates(),
		Servers: map[string]api.AutopilotServer{}, Voters: []string{},
	}
	if h.leader != nil {
		out.Leader = h.leader.ID
	}
	for i := range h.members {
		m := &h.members[i]
		kind := string(m.Suffrage)
		status := kind
		if m.Leader {
			status = "leader"
		}
		out.Servers[m.ID] = api.AutopilotServer{
			ID: m.ID, Name: m.Name, Address: m.Address, NodeStatus: aliveText(m), Version: m.Version,
			LastContact: contact(m), LastTerm: m.Term, LastIndex: m.LastIndex, Healthy: h.healthy(m),
			Status: status, NodeType: kind,
		}
		if m.Suffrage == registry.Voter {
			out.Voters = append(out.Voters, m.ID)
		}
	}
	return q.json(http.StatusOK, out)
}

func aliveText(m *registry.Member) string {
	if m.Alive {
		return "alive"
	}
	return "failed"
}

// contact is how long ago a server was heard from: it was asked just now.
func contact(m *registry.Member) *string {
	if !m.Alive {
		return nil
	}
	now := "0s"
	return &now
}
