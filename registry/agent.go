package registry

import (
	"context"
	"time"
)

// AgentService is an instance that an agent advertises, with its definition.
type AgentService struct {
	Definition ServiceDefinition
	// Warnings say what a user should know, such as a name that DNS cannot carry.
	Warnings []string
	// FromFile says that a configuration file defines it.
	FromFile bool
}

// AgentCheck is a check that an agent runs, as it stands.
type AgentCheck struct {
	Definition CheckDefinition
	Check      Check
}

// Agent is the local agent: what runs on this node and is advertised from here.
// Its calls answer from local state and never wait for a server; what they
// change reaches the catalog soon after. An invalid definition fails with
// ErrInvalidDefinition and changes nothing.
type Agent interface {
	// Node is the node that the agent advertises everything under.
	Node() Node
	Services() []AgentService // by id
	Checks() []AgentCheck     // by id
	// RegisterService advertises a service, replacing one of the same id. The
	// checks of a replaced service that d does not name are kept, unless
	// replaceChecks. It returns warnings. If d names a lease that is not there:
	// ErrLeaseNotFound.
	RegisterService(ctx context.Context, d ServiceDefinition, replaceChecks bool) (warnings []string, err error)
	// GrantLease gets a lease from the servers, for what is to be registered with it.
	GrantLease(ctx context.Context, ttl time.Duration) (LeaseID, error)
	// DeregisterService withdraws a service and its checks. ErrServiceNotFound.
	DeregisterService(ctx context.Context, id string) error
	// RegisterCheck adds a check to the node, or to the instance d names.
	RegisterCheck(ctx context.Context, d CheckDefinition) error
	// DeregisterCheck removes a check. ErrCheckNotFound.
	DeregisterCheck(ctx context.Context, id string) error
	// UpdateTTL reports the status of a ttl check, which then holds for its
	// TTL. ErrCheckNotFound, ErrNotTTLCheck.
	UpdateTTL(ctx context.Context, id string, s HealthStatus, output string) error
	// SetServiceMaintenance and SetNodeMaintenance put a critical check on an
	// instance or on the node, or take it away.
	SetServiceMaintenance(ctx context.Context, id string, on bool, reason string) error
	SetNodeMaintenance(ctx context.Context, on bool, reason string) error
	// Sync says how the agent stands with the catalog.
	Sync() AgentSync
}

// AgentSync is how an agent stands with the servers.
type AgentSync struct {
	// Lease holds up everything the agent advertises; 0 while it has none.
	Lease LeaseID
	// InSync says that the catalog has all that the agent advertises. LastError is
	// what kept it from that last, "" if nothing.
	InSync    bool
	LastError string
	// LastContact is when a server last answered.
	LastContact time.Time
}
