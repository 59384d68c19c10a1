package httpserver

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// agentSelf is GET /v1/agent/self: what clients read of an agent's configuration,
// and how it stands.
func (s *surface) agentSelf(q *request) error {
	node := s.agent.Node()
	sync := s.agent.Sync()
	stats := map[string]map[string]string{
		"agent": {
			"services": strconv.Itoa(len(s.agent.Services())), "checks": strconv.Itoa(len(s.agent.Checks())),
			"in_sync": strconv.FormatBool(sync.InSync), "last_error": sync.LastError,
			"lease": strconv.FormatInt(int64(sync.Lease), 10), "last_contact": contactText(sync.LastContact),
		},
		"build":   {"version": s.version},
		"runtime": {"arch": runtime.GOARCH, "os": runtime.GOOS, "version": runtime.Version(), "goroutines": strconv.Itoa(runtime.NumGoroutine())},
	}
	if s.cluster != nil {
		st := s.cluster.Status()
		stats["raft"] = map[string]string{
			"leader": st.Leader, "leader_address": st.LeaderAt, "term": strconv.FormatUint(st.Term, 10),
			"last_log_index": strconv.FormatUint(st.LastIndex, 10), "commit_index": strconv.FormatUint(st.Committed, 10),
			"applied_index": strconv.FormatUint(st.Applied, 10), "last_contact": st.LastContact.String(),
		}
	}
	return q.json(http.StatusOK, api.AgentSelf{
		Config: api.AgentConfig{
			Datacenter: s.datacenter, PrimaryDatacenter: s.datacenter, NodeName: s.node, NodeID: node.ID,
			Server: s.store != nil, Version: s.version, SessionTTLMin: int64(s.cfg.SessionTTLMin),
		},
		Coord:       map[string]any{},
		Member:      s.ownMember(),
		Stats:       stats,
		Meta:        orEmptyMap(node.Meta),
		DebugConfig: map[string]any{},
	})
}

func contactText(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// agentVersion is GET /v1/agent/version.
func (s *surface) agentVersion(q *request) error {
	return q.json(http.StatusOK, map[string]string{"HumanVersion": s.version})
}

// ownMember is this process as a member of the cluster. It asks nobody.
func (s *surface) ownMember() api.AgentMember {
	node := s.agent.Node()
	if s.cluster == nil {
		return newMember(s.node, node.Address, 0, map[string]string{"role": "node", "id": node.ID}, s.datacenter)
	}
	address := s.peer
	if address == "" {
		address = node.Address
	}
	return s.serverMember(registry.Member{ID: s.cluster.Status().ID, Name: s.node, Address: address, Alive: true})
}

// newMember is a member that is alive. Its tags are those that clients know.
func newMember(name, addr string, port int, tags map[string]string, dc string) api.AgentMember {
	tags["dc"] = dc
	return api.AgentMember{
		Name: name, Addr: addr, Port: port, Tags: tags, Status: api.MemberAlive,
		ProtocolMin: 1, ProtocolMax: 5, ProtocolCur: 2, DelegateMin: 2, DelegateMax: 5, DelegateCur: 4,
	}
}

// membersTimeout bounds how long the list of servers may take.
const membersTimeout = 5 * time.Second

// agentMembers is GET /v1/agent/members: the servers, and every node that an agent
// keeps in the catalog.
func (s *surface) agentMembers(q *request) error {
	f, err := filterOf(q, &s.filters.members)
	if err != nil {
		return err
	}
	var servers []registry.Member
	if s.cluster != nil {
		ctx, cancel := context.WithTimeout(q.r.Context(), membersTimeout)
		defer cancel()
		if servers, err = s.cluster.Members(ctx); err != nil {
			return err
		}
	}
	var all []api.AgentMember
	seen := map[string]bool{}
	add := func(m api.AgentMember) {
		if !seen[m.Name] {
			seen[m.Name] = true
			all = append(all, m)
		}
	}
	for _, m := range servers {
		add(s.serverMember(m))
	}
	add(s.ownMember())
	if s.catalog != nil {
		for n := range s.catalog.Index().Nodes() {
			for _, c := range n.Checks {
				if c.ID != registry.NodeCheckID {
					continue
				}
				m := newMember(n.Name, n.Address, 0, map[string]string{"role": "node", "id": n.ID}, s.datacenter)
				if c.Status == registry.Critical {
					m.Status = api.MemberFailed
				}
				add(m)
			}
		}
	}
	return q.json(http.StatusOK, f.Select(all))
}

func (s *surface) serverMember(m registry.Member) api.AgentMember {
	host, port, err := net.SplitHostPort(m.Address)
	if err != nil {
		host = m.Address
	}
	name := m.Name
	if name == "" {
		name = m.ID
	}
	n, _ := strconv.Atoi(port) // a port that is no number is left at 0
	out := newMember(name, host, n, map[string]string{"role": "consul", "id": m.ID, "raft_id": m.ID, "port": port}, s.datacenter)
	if !m.Alive {
		out.Status = api.MemberFailed
	}
	return out
}
