package httpserver

import (
	"net/http"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
)

// maintenance is the status of what somebody took out of service on purpose.
const maintenance = "maintenance"

// Checks with these ids are maintenance mode.
const (
	nodeMaintenanceID          = "_node_maintenance"
	serviceMaintenanceIDPrefix = "_service_maintenance:"
)

// healthStatuses are the statuses that load balancers read health from.
var healthStatuses = map[string]int{
	string(registry.Passing):  http.StatusOK,
	string(registry.Warning):  http.StatusTooManyRequests,
	string(registry.Critical): http.StatusServiceUnavailable,
	maintenance:               http.StatusServiceUnavailable,
}

// agentHealthByID is GET /v1/agent/health/service/id/<id>.
func (s *surface) agentHealthByID(q *request) error {
	id, err := q.need("Missing serviceID")
	if err != nil {
		return err
	}
	checks := s.agent.Checks()
	for _, a := range s.agent.Services() {
		if a.Definition.ID != id {
			continue
		}
		h := s.localHealth(&a.Definition, checks)
		return q.health(h.AggregatedStatus, h)
	}
	if q.query.get("format") == "text" {
		return because(registry.ErrServiceNotFound, http.StatusNotFound, "ServiceId %s not found", id)
	}
	return q.json(http.StatusNotFound, api.AgentServiceHealth{AggregatedStatus: string(registry.Critical)})
}

// agentHealthByName is GET /v1/agent/health/service/name/<name>: the worst of the
// services of that name, and each.
func (s *surface) agentHealthByName(q *request) error {
	name, err := q.need("Missing service Name")
	if err != nil {
		return err
	}
	checks := s.agent.Checks()
	list := []*api.AgentServiceHealth{}
	worst := ""
	for _, a := range s.agent.Services() {
		if a.Definition.Name == name {
			h := s.localHealth(&a.Definition, checks)
			list = append(list, h)
			worst = worse(worst, h.AggregatedStatus)
		}
	}
	if len(list) > 0 {
		return q.health(worst, list)
	}
	if q.query.get("format") == "text" {
		return because(registry.ErrServiceNotFound, http.StatusNotFound, "ServiceName %s Not Found", name)
	}
	return q.json(http.StatusNotFound, list)
}

// localHealth aggregates the checks of a service and of the node.
func (s *surface) localHealth(d *registry.ServiceDefinition, checks []registry.AgentCheck) *api.AgentServiceHealth {
	h := &api.AgentServiceHealth{AggregatedStatus: string(registry.Passing), Service: s.agentServiceView(d), Checks: []api.HealthCheck{}}
	for i := range checks {
		c := &checks[i].Check
		switch c.ServiceID {
		case d.ID:
			h.Checks = append(h.Checks, localCheck(c, d))
		case "":
			h.Checks = append(h.Checks, localCheck(c, nil))
		default:
			continue
		}
		status := string(c.Status)
		if c.ID == nodeMaintenanceID || strings.HasPrefix(c.ID, serviceMaintenanceIDPrefix) {
			status = maintenance
		}
		h.AggregatedStatus = worse(h.AggregatedStatus, status)
	}
	return h
}

// worse is the worse of two statuses, of which maintenance is the worst.
func worse(a, b string) string {
	if a == maintenance || b == maintenance {
		return maintenance
	}
	return string(registry.HealthStatus(a).Worse(registry.HealthStatus(b)))
}

func (q *request) health(status string, v any) error {
	code, ok := healthStatuses[status]
	if !ok {
		code = http.StatusServiceUnavailable
	}
	if q.query.get("format") == "text" {
		q.header()["Content-Type"] = isText
		return q.body(code, []byte(status))
	}
	return q.json(code, v)
}
