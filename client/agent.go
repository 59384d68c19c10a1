package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// Agent is the part of the API that concerns the agent at the first address.
type Agent struct{ c *Client }

// Agent returns the part of the API that concerns the agent at the first address.
func (c *Client) Agent() Agent { return Agent{c} }

// Self describes the agent.
func (a Agent) Self(ctx context.Context) (api.AgentSelf, error) {
	var self api.AgentSelf
	return self, a.get(ctx, "/v1/agent/self", &self)
}

// Services returns what the agent advertises, by id.
func (a Agent) Services(ctx context.Context) (map[string]api.AgentService, error) {
	var services map[string]api.AgentService
	return services, a.get(ctx, "/v1/agent/services", &services)
}

// Checks returns the agent's checks, by id.
func (a Agent) Checks(ctx context.Context) (map[string]api.HealthCheck, error) {
	var checks map[string]api.HealthCheck
	return checks, a.get(ctx, "/v1/agent/checks", &checks)
}

// RegisterOptions are how a service is registered with an agent.
type RegisterOptions struct {
	// ReplaceChecks withdraws the checks of a service that is replaced; else they are kept.
	ReplaceChecks bool
	// Lease deregisters the service when that lease ends. Zero is none: it stays until it is deregistered.
	Lease registry.LeaseID
	// TTL deregisters the service after that long, by a lease made for it, which nobody keeps alive. Zero is none; with Lease
	// it is refused (registry.ErrInvalid).
	TTL time.Duration
}

// RegisterService advertises a service, given as the JSON document that the API
// takes. It returns what the user should know of a definition that was accepted.
// registry.ErrInvalidDefinition, registry.ErrLeaseNotFound, registry.ErrInvalidTTL.
func (a Agent) RegisterService(ctx context.Context, document []byte, o RegisterOptions) (warnings []string, err error) {
	query := url.Values{}
	if o.ReplaceChecks {
		query.Set("replace-existing-checks", "")
	}
	if o.Lease != 0 {
		query.Set("lease", api.LeaseID(o.Lease).String())
	}
	if o.TTL != 0 {
		query.Set("ttl", o.TTL.String())
	}
	return a.put(ctx, "/v1/agent/service/register", query, document)
}

// DeregisterService withdraws a service. registry.ErrServiceNotFound.
func (a Agent) DeregisterService(ctx context.Context, id string) error {
	_, err := a.put(ctx, "/v1/agent/service/deregister/"+id, nil, nil)
	return err
}

// RegisterCheck adds a check, given as the JSON document that the API takes.
func (a Agent) RegisterCheck(ctx context.Context, document []byte) (warnings []string, err error) {
	return a.put(ctx, "/v1/agent/check/register", nil, document)
}

// DeregisterCheck removes a check. registry.ErrCheckNotFound.
func (a Agent) DeregisterCheck(ctx context.Context, id string) error {
	_, err := a.put(ctx, "/v1/agent/check/deregister/"+id, nil, nil)
	return err
}

// UpdateTTL reports the status of a check of kind ttl, which then holds for its TTL.
// registry.ErrCheckNotFound, registry.ErrNotTTLCheck.
func (a Agent) UpdateTTL(ctx context.Context, id string, status registry.HealthStatus, output string) error {
	body, err := json.Marshal(api.CheckUpdate{Status: string(status), Output: output})
	if err != nil {
		return err
	}
	_, err = a.put(ctx, "/v1/agent/check/update/"+id, nil, body)
	return err
}

// SetServiceMaintenance takes a service out of the passing answers, or puts it back.
func (a Agent) SetServiceMaintenance(ctx context.Context, id string, on bool, reason string) error {
	_, err := a.put(ctx, "/v1/agent/service/maintenance/"+id, maintenance(on, reason), nil)
	return err
}

// SetNodeMaintenance does so with all services of the node.
func (a Agent) SetNodeMaintenance(ctx context.Context, on bool, reason string) error {
	_, err := a.put(ctx, "/v1/agent/maintenance", maintenance(on, reason), nil)
	return err
}

func maintenance(on bool, reason string) url.Values {
	return url.Values{"enable": {strconv.FormatBool(on)}, "reason": {reason}}
}

func (a Agent) get(ctx context.Context, path string, v any) error {
	r := get(path, nil)
	r.local = true
	_, err := a.c.fetch(ctx, r, v)
	return err
}

func (a Agent) put(ctx context.Context, path string, query url.Values, body []byte) (warnings []string, err error) {
	r := put(path, query, body)
	r.local = true
	rep, err := a.c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	return rep.header[http.CanonicalHeaderKey(api.HeaderWarning)], nil
}
