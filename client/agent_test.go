package client_test

import (
	"context"
	"sync"
	"time"

	"herald/registry"
)

// grantedLease is the lease that the agent makes.
const grantedLease = 99

// agent is a local agent that knows services and nothing else.
type agent struct {
	mu       sync.Mutex
	services map[string]registry.AgentService
}

var _ registry.Agent = (*agent)(nil)

func newAgent() *agent { return &agent{services: map[string]registry.AgentService{}} }

func (a *agent) Node() registry.Node { return registry.Node{Name: "n1", Address: "127.0.0.1"} }

func (a *agent) Services() []registry.AgentService {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []registry.AgentService
	for _, s := range a.services {
		all = append(all, s)
	}
	return all
}

func (a *agent) Checks() []registry.AgentCheck { return nil }

func (a *agent) GrantLease(context.Context, time.Duration) (registry.LeaseID, error) {
	return grantedLease, nil
}

func (a *agent) RegisterService(_ context.Context, d registry.ServiceDefinition, _ bool) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d.ID = d.Name
	a.services[d.ID] = registry.AgentService{Definition: d}
	return nil, nil
}

func (a *agent) DeregisterService(_ context.Context, id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.services[id]; !ok {
		return registry.ErrServiceNotFound
	}
	delete(a.services, id)
	return nil
}

func (a *agent) RegisterCheck(context.Context, registry.CheckDefinition) error {
	return registry.ErrInvalidDefinition
}

func (a *agent) DeregisterCheck(context.Context, string) error { return registry.ErrCheckNotFound }

func (a *agent) UpdateTTL(context.Context, string, registry.HealthStatus, string) error {
	return registry.ErrCheckNotFound
}

func (a *agent) SetServiceMaintenance(context.Context, string, bool, string) error {
	return registry.ErrServiceNotFound
}

func (a *agent) SetNodeMaintenance(context.Context, bool, string) error { return nil }

func (a *agent) Sync() registry.AgentSync { return registry.AgentSync{InSync: true} }
