package plugin

import (
	"context"

	"herald/registry"
)

// SourceInfo describes a source of services: somewhere an agent learns what to
// advertise, beside its own files and API.
type SourceInfo struct {
	Name    string
	Summary string
	New     func() Source
}

// Source says what there is to advertise. Config and Validate are as for a Door.
type Source interface {
	Config() any
	Validate() error
	// Run calls set with everything the source knows of, at first and whenever
	// that changes, until ctx ends. What an earlier call had and a later one has
	// not is withdrawn. set reports definitions that were refused.
	Run(ctx context.Context, set func([]registry.ServiceDefinition) error) error
}
