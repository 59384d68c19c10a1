package chaosdoor

import (
	"context"
	"errors"

	"herald/registry"
)

// sentinels are the errors that keep their identity across the wire.
var sentinels = map[string]error{
	"ErrEmptyKey":          registry.ErrEmptyKey,
	"ErrKeyNotFound":       registry.ErrKeyNotFound,
	"ErrTooLarge":          registry.ErrTooLarge,
	"ErrFutureRevision":    registry.ErrFutureRevision,
	"ErrCompacted":         registry.ErrCompacted,
	"ErrRequire":           registry.ErrRequire,
	"ErrInvalid":           registry.ErrInvalid,
	"ErrResourceExhausted": registry.ErrResourceExhausted,
	"ErrLeaseNotFound":     registry.ErrLeaseNotFound,
	"ErrLeaseExists":       registry.ErrLeaseExists,
	"ErrInvalidTTL":        registry.ErrInvalidTTL,
	"ErrWatchClosed":       registry.ErrWatchClosed,
	"ErrWatchReset":        registry.ErrWatchReset,
	"ErrNoLeader":          registry.ErrNoLeader,
	"ErrUnavailable":       registry.ErrUnavailable,
	"ErrTimeout":           registry.ErrTimeout,
	"ErrStopped":           registry.ErrStopped,
	"ErrDiskFull":          registry.ErrDiskFull,
	"ErrMemberNotFound":    registry.ErrMemberNotFound,
	"ErrMembership":        registry.ErrMembership,
	"ErrForeignCluster":    registry.ErrForeignCluster,
	"ErrQuorum":            registry.ErrQuorum,
	"ErrVoter":             registry.ErrVoter,
	"ErrNotInSync":         registry.ErrNotInSync,
	"ErrFormat":            registry.ErrFormat,
	"ErrCorrupt":           registry.ErrCorrupt,
	"Canceled":             context.Canceled,
	"DeadlineExceeded":     context.DeadlineExceeded,
}

// wireError is an error as it travels: its text, which sentinels it is, and the fields of
// those that have some.
type wireError struct {
	Text      string
	Is        []string
	Compacted *registry.CompactedError
	Require   *registry.RequireError
}

func encodeError(err error) *wireError {
	if err == nil {
		return nil
	}
	w := &wireError{Text: err.Error()}
	for name, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			w.Is = append(w.Is, name)
		}
	}
	errors.As(err, &w.Compacted)
	errors.As(err, &w.Require)
	return w
}

// err is the error that was encoded, or nil.
func (w *wireError) err() error {
	if w == nil {
		return nil
	}
	return &remoteError{*w}
}

// remoteError is an error of the other side.
type remoteError struct{ wire wireError }

func (e *remoteError) Error() string { return e.wire.Text }

func (e *remoteError) Unwrap() []error {
	var errs []error
	if e.wire.Compacted != nil {
		errs = append(errs, e.wire.Compacted)
	}
	if e.wire.Require != nil {
		errs = append(errs, e.wire.Require)
	}
	for _, name := range e.wire.Is {
		if err := sentinels[name]; err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
