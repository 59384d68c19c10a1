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
	// not is withdrawn. set's error joins those of the definitions that were refused
	// (registry.ErrInvalidDefinition, ErrDuplicateService, ErrExecDisabled); the
	// others stand, and a service whose new definition is refused stays as it was. On
	// any other error nothing has changed. It is not for Run to fail because of one.
	Run(ctx context.Context, set func([]registry.ServiceDefinition) error) error
}
