package api

import (
	"fmt"
	"strconv"
	"time"

	"herald/registry"
)

// LeaseGrant is the body of PUT /v1/lease/grant.
type LeaseGrant struct {
	// ID is the id wanted, "" or "0" to be given one.
	ID LeaseID `json:",omitempty"`
	// TTL is a duration such as "15s"; "0s" makes a lease that ends only when it is
	// revoked.
	TTL string
}

// Lease is a lease. Durations are as time.Duration prints them.
type Lease struct {
	ID  LeaseID
	TTL string
	// Remaining is how long it lives from now without a keepalive.
	Remaining string
	// Keys are what is attached to the lease, where that is asked for.
	Keys []LeasedKey `json:",omitempty"`
}

// LeasedKey is a key that goes with a lease, or a lock that the lease holds.
type LeasedKey struct {
	Space string
	Key   string
}

// LeaseID is a lease's id: a decimal string in JSON, since a number there may
// lose what is above 2^53.
type LeaseID registry.LeaseID

// ParseLeaseID reads a lease's id as URLs and JSON spell it.
func ParseLeaseID(s string) (LeaseID, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("lease id %q: want a decimal number of 64 bits", s)
	}
	return LeaseID(id), nil
}

// String returns the id as URLs and JSON spell it.
func (id LeaseID) String() string { return strconv.FormatInt(int64(id), 10) }

// MarshalText implements encoding.TextMarshaler.
func (id LeaseID) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(id), 10), nil }

// UnmarshalText implements encoding.TextUnmarshaler. An empty text is 0.
func (id *LeaseID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = 0
		return nil
	}
	v, err := ParseLeaseID(string(b))
	*id = v
	return err
}

// FromLease describes l.
func FromLease(l registry.Lease) Lease {
	out := Lease{ID: LeaseID(l.ID), TTL: l.TTL.String(), Remaining: l.Remaining.String()}
	for _, k := range l.Keys {
		out.Keys = append(out.Keys, LeasedKey{Space: k.Space.String(), Key: k.Key})
	}
	return out
}

// Registry returns the lease that l describes.
func (l Lease) Registry() (registry.Lease, error) {
	ttl, err := time.ParseDuration(l.TTL)
	if err != nil {
		return registry.Lease{}, fmt.Errorf("lease %s: %w", l.ID, err)
	}
	remaining, err := time.ParseDuration(l.Remaining)
	if err != nil {
		return registry.Lease{}, fmt.Errorf("lease %s: %w", l.ID, err)
	}
	out := registry.Lease{ID: registry.LeaseID(l.ID), TTL: ttl, Remaining: remaining}
	for _, k := range l.Keys {
		space, ok := spaceNamed(k.Space)
		if !ok {
			return registry.Lease{}, fmt.Errorf("lease %s: there is no space %q", l.ID, k.Space)
		}
		out.Keys = append(out.Keys, registry.LeasedKey{Space: space, Key: k.Key})
	}
	return out, nil
}

func spaceNamed(name string) (registry.Space, bool) {
	for s := registry.Space(0); s.Valid(); s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}
