package session

import (
	"errors"
	"time"

	"herald/registry"
	"herald/registry/catalog"
)

// ServerCheck is the check of every node that an agent or a server answers for.
const ServerCheck = "serfHealth"

// Behavior is what becomes of the keys that a session holds when it ends.
type Behavior string

// What can become of them.
const (
	Release Behavior = "release" // they are free
	Delete  Behavior = "delete"  // they are deleted
)

// Session is a session as it was made.
type Session struct {
	// ID, CreateIndex and ModifyIndex are the store's to choose. The indexes are revisions of
	// the session space.
	ID                       ID
	CreateIndex, ModifyIndex int64

	Name string
	Node string
	// TTL is how long it lives without Renew, 0 for as long as its checks; TTLText is how
	// that was spelled.
	TTL     time.Duration
	TTLText string
	// LockDelay is how long a key that it held is not to be had after its end.
	LockDelay time.Duration
	Behavior  Behavior
	// NodeChecks, Checks and ServiceChecks are the checks on Node that it ends with, by their
	// ids. NodeChecks is nil if they were asked not to be; Checks is an older spelling of it.
	NodeChecks    []string
	Checks        []string
	ServiceChecks []string
}

// ErrNotFound says that there is no such session, or no longer.
var ErrNotFound = errors.New("session not found")

// Limits are the bounds of what Create takes.
type Limits struct {
	MinTTL, MaxTTL time.Duration
}

// DefaultLimits are those that clients expect.
func DefaultLimits() Limits { return Limits{MinTTL: 10 * time.Second, MaxTTL: 24 * time.Hour} }

// Sessions are the sessions of a store.
type Sessions struct {
	store   registry.Store
	catalog *catalog.Catalog
}

// New returns the sessions of a store, of which catalog follows the catalog.
func New(store registry.Store, catalog *catalog.Catalog) *Sessions {
	return &Sessions{store: store, catalog: catalog}
}

const (
	sessionPrefix = "session/"
	delayPrefix   = "delay/"
)

// Keys are the keys of the session space that have a session each.
func Keys() registry.KeyRange { return registry.Prefix(sessionPrefix) }

// Key is the key of the session space that has a session.
func Key(id ID) string { return sessionPrefix + string(id) }

// Delays are the marks in the session space of the keys of a range, to be deleted with
// those.
func Delays(keys registry.KeyRange) registry.KeyRange {
	switch {
	case keys.IsOne():
		return registry.One(delayPrefix + keys.Start)
	case keys.Unbounded():
		return registry.KeyRange{Start: delayPrefix + keys.Start, End: registry.Prefix(delayPrefix).End}
	}
	return registry.KeyRange{Start: delayPrefix + keys.Start, End: delayPrefix + keys.End}
}
