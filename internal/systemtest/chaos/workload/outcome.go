package workload

import (
	"errors"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// errNotSent is wrapped around the errors of requests that never reached a server.
var errNotSent = errors.New("not sent")

// refusals are the errors by which a store promises that nothing was written.
var refusals = []error{
	errNotSent,
	registry.ErrNoLeader, registry.ErrUnavailable,
	registry.ErrDiskFull, registry.ErrResourceExhausted, registry.ErrTooLarge, registry.ErrInvalid,
	registry.ErrEmptyKey, registry.ErrKeyNotFound, registry.ErrRequire,
	registry.ErrLeaseNotFound, registry.ErrLeaseExists, registry.ErrInvalidTTL,
	registry.ErrCompacted, registry.ErrFutureRevision,
}

// outcomeOf says what a client knows of a request that ended with err.
func outcomeOf(err error) history.Outcome {
	// A refusal that came beside a timeout, as when a try was refused after one that was
	// not answered, says nothing of the first.
	if err == nil {
		return history.OK
	}
	if errors.Is(err, registry.ErrTimeout) {
		return history.Unknown
	}
	for _, r := range refusals {
		if errors.Is(err, r) {
			return history.Failed
		}
	}
	return history.Unknown
}
