package registry

import (
	"encoding/json"
	"fmt"
)

// Space names one keyspace. Each has its own revision sequence, history and
// compaction; one transaction may write several, and leases span all.
type Space uint8

const (
	// SpaceKV holds what users put. It is the only space that the key-value
	// doors show, and its revision is what their clients count on.
	SpaceKV Space = iota
	// SpaceCatalog holds nodes, service instances and checks (see catalog).
	SpaceCatalog
	// SpaceSession holds what the HTTP API knows beside keys and the catalog: the
	// descriptions of sessions, prepared queries (query/…), events (event/…) and
	// coordinates (coordinate/…). What makes a session live or die is its lease.
	SpaceSession
	// SpaceSystem holds what the servers and their operators agree on about the
	// cluster itself: alarms, where clients reach each server, users and roles.
	SpaceSystem

	// NumSpaces is how many spaces there are; it is not itself a space.
	NumSpaces = 4
)

var spaceNames = [NumSpaces]string{"kv", "catalog", "session", "system"}

// String returns the space's name as documents and metrics spell it.
func (s Space) String() string {
	if s.Valid() {
		return spaceNames[s]
	}
	return fmt.Sprintf("space(%d)", uint8(s))
}

// Valid reports whether s is a space that exists.
func (s Space) Valid() bool { return s < NumSpaces }

// Revisions is one revision for each space, indexed by Space.
type Revisions [NumSpaces]int64

// MarshalJSON writes an object of the spaces' names and their revisions.
func (r Revisions) MarshalJSON() ([]byte, error) {
	named := make(map[string]int64, NumSpaces)
	for s, rev := range r {
		named[spaceNames[s]] = rev
	}
	return json.Marshal(named)
}

// UnmarshalJSON reads what MarshalJSON writes; a space that it does not know is
// left out, one that is not there is 0.
func (r *Revisions) UnmarshalJSON(b []byte) error {
	var named map[string]int64
	if err := json.Unmarshal(b, &named); err != nil {
		return err
	}
	for s, name := range spaceNames {
		r[s] = named[name]
	}
	return nil
}
