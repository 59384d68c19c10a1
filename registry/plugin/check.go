package plugin

import "herald/registry"

// CheckInfo describes a kind of health check.
type CheckInfo struct {
	// Name is the kind's name in check definitions.
	Name string
	// Summary is one line for "herald plugins".
	Summary string
	// New makes a check of this kind.
	New registry.NewChecker
}
