package api

import (
	"errors"

	"herald/registry"
)

// codes pairs each error of the registry with the code it travels under. The
// first that matches counts. A code, once released, keeps its meaning.
var codes = []struct {
	code string
	err  error
}{
	{"node-taken", registry.ErrNodeTaken}, // first: it may say which requirement found it
	{"not-advertised", registry.ErrNotAdvertised},
	{"empty-key", registry.ErrEmptyKey},
	{"key-not-found", registry.ErrKeyNotFound},
	{"too-large", registry.ErrTooLarge},
	{"future-revision", registry.ErrFutureRevision},
	{"compacted", registry.ErrCompacted},
	{"requirement-failed", registry.ErrRequire},
	{"resource-exhausted", registry.ErrResourceExhausted},
	{"lease-not-found", registry.ErrLeaseNotFound},
	{"lease-exists", registry.ErrLeaseExists},
	{"invalid-ttl", registry.ErrInvalidTTL},
	{"no-leader", registry.ErrNoLeader},
	{"unavailable", registry.ErrUnavailable},
	{"timeout", registry.ErrTimeout},
	{"stopped", registry.ErrStopped},
	{"disk-full", registry.ErrDiskFull},
	{"member-not-found", registry.ErrMemberNotFound},
	{"membership", registry.ErrMembership},
	{"foreign-cluster", registry.ErrForeignCluster},
	{"corrupt", registry.ErrCorrupt},
	{"format", registry.ErrFormat},
	{"service-not-found", registry.ErrServiceNotFound},
	{"check-not-found", registry.ErrCheckNotFound},
	{"node-not-found", registry.ErrNodeNotFound},
	{"duplicate-service", registry.ErrDuplicateService},
	{"not-ttl-check", registry.ErrNotTTLCheck},
	{"exec-disabled", registry.ErrExecDisabled},
	{"invalid-definition", registry.ErrInvalidDefinition},
	{"invalid", registry.ErrInvalid},
}

// Code returns the code that err travels under, "" if it has none.
func Code(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return ""
}

// FromCode returns the registry's error of a code, nil for one that is not known.
func FromCode(code string) error {
	for _, c := range codes {
		if c.code == code {
			return c.err
		}
	}
	return nil
}
