package httpserver

import (
	"errors"
	"net/http"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/definition"
)

// agentRegisterCheck is PUT /v1/agent/check/register.
func (s *surface) agentRegisterCheck(q *request) error {
	body, err := s.readBody(q, s.live().MaxBodyBytes, "max_body_bytes")
	if err != nil {
		return err
	}
	d, warnings, err := definition.ParseCheck(body)
	if err != nil {
		return badDefinition(err)
	}
	for _, name := range [...]string{"ttl", "lease"} {
		if q.query.has(name) {
			return refusef(http.StatusBadRequest, "A check has no lease of its own, so that ?%s= means nothing here: "+
				"register its service with that, or give the check a TTL", name)
		}
	}
	err = s.agent.RegisterCheck(q.caller(registry.ReasonClient), d)
	if errors.Is(err, registry.ErrServiceNotFound) {
		return because(err, http.StatusNotFound, "ServiceID %q does not exist", d.ServiceID)
	}
	if err != nil {
		return badDefinition(err)
	}
	s.warn(q, "check", d.Name, warnings)
	return q.empty()
}

// agentDeregisterCheck is PUT /v1/agent/check/deregister/<id>.
func (s *surface) agentDeregisterCheck(q *request) error {
	if err := s.agent.DeregisterCheck(q.caller(registry.ReasonClient), q.arg); err != nil {
		return unknownCheck(err, q.arg)
	}
	return q.empty()
}

// unknownCheck puts it in the words that clients match on.
func unknownCheck(err error, id string) error {
	switch {
	case errors.Is(err, registry.ErrCheckNotFound):
		return because(err, http.StatusNotFound, "Unknown check ID %q. Ensure that the check ID is passed, not the check name.", id)
	case errors.Is(err, registry.ErrNotTTLCheck):
		return because(err, http.StatusInternalServerError, "CheckID %q does not have associated TTL", id)
	}
	return err
}

// agentCheckPass is PUT /v1/agent/check/pass/<id>?note=.
func (s *surface) agentCheckPass(q *request) error {
	return s.reportCheck(q, registry.Passing, q.query.get("note"))
}

// agentCheckWarn is PUT /v1/agent/check/warn/<id>?note=.
func (s *surface) agentCheckWarn(q *request) error {
	return s.reportCheck(q, registry.Warning, q.query.get("note"))
}

// agentCheckFail is PUT /v1/agent/check/fail/<id>?note=.
func (s *surface) agentCheckFail(q *request) error {
	return s.reportCheck(q, registry.Critical, q.query.get("note"))
}

// agentCheckUpdate is PUT /v1/agent/check/update/<id>.
func (s *surface) agentCheckUpdate(q *request) error {
	var body api.CheckUpdate
	if err := s.readJSON(q, &body, true); err != nil {
		return err
	}
	status := registry.HealthStatus(body.Status)
	if !status.Valid() {
		return refusef(http.StatusBadRequest, "Invalid check status: '%s'", body.Status)
	}
	return s.reportCheck(q, status, body.Output)
}

func (s *surface) reportCheck(q *request, status registry.HealthStatus, output string) error {
	if err := s.agent.UpdateTTL(q.caller(registry.ReasonCheck), q.arg, status, output); err != nil {
		return unknownCheck(err, q.arg)
	}
	return q.empty()
}

// agentChecks is GET /v1/agent/checks: the checks of this agent, by id.
func (s *surface) agentChecks(q *request) error {
	f, err := filterOf(q, &s.filters.checks)
	if err != nil {
		return err
	}
	tags := map[string]*registry.ServiceDefinition{}
	for _, a := range s.agent.Services() {
		tags[a.Definition.ID] = &a.Definition
	}
	all := map[string]api.HealthCheck{}
	for _, c := range s.agent.Checks() {
		if v := localCheck(&c.Check, tags[c.Check.ServiceID]); f.Match(&v) {
			all[c.Check.ID] = v
		}
	}
	return q.json(http.StatusOK, all)
}

// localCheck spells a check of the agent's, which has no revisions; of is the
// service it is of, nil for the node's own.
func localCheck(c *registry.Check, of *registry.ServiceDefinition) api.HealthCheck {
	if of == nil {
		return healthCheck(c, c.ServiceName, nil, 0, 0)
	}
	return healthCheck(c, of.Name, of.Tags, 0, 0)
}
