package check

import (
	"context"
	"fmt"

	"herald/registry"
)

// TTL is the kind of a check whose status is reported to the agent.
const TTL = "ttl"

// NewTTL validates a definition of kind ttl, which has a TTL and no Spec. The
// agent runs the timer and does not call the Checker.
func NewTTL(d registry.CheckDefinition) (registry.Checker, error) {
	s := specOf(d, TTL)
	if d.TTL <= 0 {
		s.fail("ttl", fmt.Sprintf("must be above 0, not %v", d.TTL))
	}
	if err := s.done(); err != nil {
		return nil, err
	}
	return ttlCheck{}, nil
}

type ttlCheck struct{}

func (ttlCheck) Check(context.Context) (registry.HealthStatus, string) {
	return registry.Critical, "a ttl check is reported to the agent and cannot be run"
}
