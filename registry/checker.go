package registry

import "context"

// Checker is one health check, ready to be run. Check is called by one
// goroutine at a time, once an interval, with a context that ends at the
// check's timeout; it returns what it found, with a line or so of output that
// helps a person. It does not return errors: what goes wrong is Critical.
type Checker interface {
	Check(ctx context.Context) (HealthStatus, string)
}

// NewChecker makes a Checker of one kind from a definition, whose Kind is that
// kind. It opens nothing. A definition that the kind cannot run fails with
// ErrInvalidDefinition, wrapped with the field that is wrong.
type NewChecker func(d CheckDefinition) (Checker, error)
