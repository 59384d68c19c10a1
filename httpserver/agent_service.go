package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/definition"
)

// agentRegisterService is PUT /v1/agent/service/register.
func (s *surface) agentRegisterService(q *request) error {
	body, err := s.readBody(q, s.live().MaxBodyBytes, "max_body_bytes")
	if err != nil {
		return err
	}
	d, parsed, err := definition.ParseService(body)
	if err != nil {
		return badDefinition(err)
	}
	lease, err := q.attachment()
	if err != nil {
		return err
	}
	if d.Lease, err = s.agentLease(q, &lease); err != nil {
		return err
	}
	warnings, err := s.agent.RegisterService(q.caller(registry.ReasonClient), d, q.query.has("replace-existing-checks"))
	if err != nil {
		return badDefinition(lease.missing(err))
	}
	s.warn(q, "service", d.Name, append(parsed, warnings...))
	lease.tell(q)
	return q.empty()
}

// agentLease is the lease that a registration is to end with, made if it has to be. If
// the registration then fails, the lease runs out with nothing hanging from it.
func (s *surface) agentLease(q *request, a *attachment) (registry.LeaseID, error) {
	if a.grant == nil {
		return a.id, nil
	}
	id, err := s.agent.GrantLease(q.caller(registry.ReasonClient), a.grant.TTL)
	if err != nil {
		return 0, err
	}
	a.id = id
	return id, nil
}

// warn tells the client and the log what a user should know of a definition that
// was accepted.
func (s *surface) warn(q *request, what, name string, warnings []string) {
	for i, w := range warnings {
		if slices.Contains(warnings[:i], w) {
			continue // whoever looked first has said it
		}
		s.log.Warn("a registration needs attention", what, name, "warning", w)
		q.header().Add(api.HeaderWarning, headerText(w))
	}
}

// headerText makes text fit for a header: what would end or corrupt one is quoted.
func headerText(text string) string {
	for i := 0; i < len(text); i++ {
		if text[i] < ' ' || text[i] > '~' {
			return strconv.QuoteToASCII(text)
		}
	}
	return text
}

// badDefinition answers for a definition that was refused.
func badDefinition(err error) error {
	switch {
	case errors.Is(err, definition.ErrDecode):
		return because(err, http.StatusBadRequest, "Request decode failed: %v", err)
	case errors.Is(err, registry.ErrExecDisabled):
		return because(err, http.StatusInternalServerError,
			"Scripts are disabled on this agent from remote calls; define the check in a file of the agent's configuration directory, or allow them with the agent's setting allow_exec")
	}
	return err
}

// agentDeregisterService is PUT /v1/agent/service/deregister/<id>.
func (s *surface) agentDeregisterService(q *request) error {
	if err := s.agent.DeregisterService(q.caller(registry.ReasonClient), q.arg); err != nil {
		return unknownService(err, q.arg)
	}
	return q.empty()
}

// unknownService puts it in the words that clients match on.
func unknownService(err error, id string) error {
	if errors.Is(err, registry.ErrServiceNotFound) {
		return because(err, http.StatusNotFound, "Unknown service ID %q. Ensure that the service ID is passed, not the service name.", id)
	}
	return err
}

// agentServices is GET /v1/agent/services: what this agent advertises, by id.
func (s *surface) agentServices(q *request) error {
	f, err := filterOf(q, &s.filters.local)
	if err != nil {
		return err
	}
	all := map[string]*api.AgentService{}
	for _, a := range s.agent.Services() {
		if v := s.agentServiceView(&a.Definition); f.Match(v) {
			all[a.Definition.ID] = v
		}
	}
	return q.json(http.StatusOK, all)
}

func (s *surface) agentServiceView(d *registry.ServiceDefinition) *api.AgentService {
	i := d.Instance(s.node)
	return &api.AgentService{
		ID: i.ID, Service: i.Service, Tags: orEmpty(i.Tags), Meta: orEmptyMap(i.Meta), Port: i.Port, Address: i.Address,
		SocketPath: i.SocketPath, TaggedAddresses: taggedAddresses(&i), Weights: api.Weights(i.Weights),
		EnableTagOverride: i.EnableTagOverride, Datacenter: s.datacenter,
	}
}

// localLook is how often a query that waits for a local service looks at it.
const localLook = 100 * time.Millisecond

// agentService is GET /v1/agent/service/<id>: one service with the hash of its
// definition; with ?hash= it waits until that differs.
func (s *surface) agentService(q *request) error {
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return err
	}
	seen := q.query.get("hash")
	v := s.localService(q.arg)
	if v != nil && seen == v.ContentHash {
		ctx, stop, err := s.blocking(q, &o)
		if err != nil {
			return err
		}
		defer stop()
		v = s.localChange(ctx, q.arg, seen)
	}
	if v == nil {
		return because(registry.ErrServiceNotFound, http.StatusNotFound, "unknown service ID: %s", q.arg)
	}
	q.header()[api.HeaderContentHash] = []string{v.ContentHash}
	return q.json(http.StatusOK, v)
}

// localService is one service of the agent with its hash, nil if there is none.
func (s *surface) localService(id string) *api.AgentService {
	for _, a := range s.agent.Services() {
		if a.Definition.ID == id {
			v := s.agentServiceView(&a.Definition)
			v.ContentHash = contentHash(v)
			return v
		}
	}
	return nil
}

// localChange waits until a service's hash is another, or ctx ends. The agent is
// looked at again and again: looking is cheap, and few wait.
func (s *surface) localChange(ctx context.Context, id, seen string) *api.AgentService {
	tick := time.NewTicker(localLook)
	defer tick.Stop()
	for {
		v := s.localService(id)
		if v == nil || v.ContentHash != seen {
			return v
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return v
		}
	}
}

// contentHash tells definitions apart.
func contentHash(v *api.AgentService) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it is made of plain values
	}
	h := fnv.New64a()
	_, _ = h.Write(b)
	return strconv.FormatUint(h.Sum64(), 16)
}

// agentServiceMaintenance is PUT /v1/agent/service/maintenance/<id>?enable=.
func (s *surface) agentServiceMaintenance(q *request) error {
	id, err := q.need("Missing service ID")
	if err != nil {
		return err
	}
	on, err := q.enable()
	if err != nil {
		return err
	}
	if err := s.agent.SetServiceMaintenance(q.caller(registry.ReasonClient), id, on, q.query.get("reason")); err != nil {
		return unknownService(err, id)
	}
	return q.empty()
}

// agentNodeMaintenance is PUT /v1/agent/maintenance?enable=.
func (s *surface) agentNodeMaintenance(q *request) error {
	on, err := q.enable()
	if err != nil {
		return err
	}
	if err := s.agent.SetNodeMaintenance(q.caller(registry.ReasonClient), on, q.query.get("reason")); err != nil {
		return err
	}
	return q.empty()
}

func (q *request) enable() (bool, error) {
	v := q.query.get("enable")
	if v == "" {
		return false, refuse(http.StatusBadRequest, "Missing value for enable")
	}
	on, err := strconv.ParseBool(v)
	if err != nil {
		return false, refusef(http.StatusBadRequest, "Invalid value for enable: %q", v)
	}
	return on, nil
}
