package check

import (
	"context"

	"herald/registry"
)

// Alias is the kind of a check that stands as the checks of another service, or of a node, do.
const Alias = "alias"

// NewAlias validates a definition of kind alias. Its Spec's service is the id of an instance and its node the name of
// a node, of which it needs one at least; an instance without a node is of the same agent. The agent follows
// them and does not call the Checker.
func NewAlias(d registry.CheckDefinition) (registry.Checker, error) {
	s := specOf(d, Alias)
	service, node := s.string("service"), s.string("node")
	if service == "" && node == "" {
		s.fail("service", "or node must be given")
	}
	if err := s.done(); err != nil {
		return nil, err
	}
	return aliasCheck{}, nil
}

// Aliased is what a valid definition of kind alias follows. An empty service means the node's own checks, and an empty
// node the agent's.
func Aliased(d *registry.CheckDefinition) (service, node string) {
	service, _ = d.Spec["service"].(string)
	node, _ = d.Spec["node"].(string)
	return service, node
}

type aliasCheck struct{}

func (aliasCheck) Check(context.Context) (registry.HealthStatus, string) {
	return registry.Critical, "an alias check follows others and cannot be run"
}
