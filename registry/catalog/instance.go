package catalog

import "herald/registry"

// Instance is an instance with its node and its health.
type Instance struct {
	registry.Instance
	// Host is the node it runs on: its record and its checks, without what else
	// is registered there (ask Index.Node for that). Instance.Node is the node's
	// name as the node spells it.
	Host *Node
	// Checks are the instance's own, by id.
	Checks []*Check
	// Status is the worst of its own checks and its node's; passing if there are
	// none.
	Status registry.HealthStatus
	// CreateRevision and ModRevision are those of the instance's own record; Lease
	// is what it ends with.
	CreateRevision int64
	ModRevision    int64
	Lease          registry.LeaseID

	full string // folded node NUL id: part of the record's key
}

// shown reports whether the instance is in any answer: it and its node have
// records. One that is not is kept for what it has: its record without a Host,
// or Checks that wait for a record (CreateRevision is 0 then).
func (i *Instance) shown() bool { return i != nil && i.Host != nil }

// recorded reports whether there is a record, rather than only checks.
func (i *Instance) recorded() bool { return i != nil && i.CreateRevision != 0 }

// Check is a check as it is in the catalog.
type Check struct {
	registry.Check
	// CreateRevision and ModRevision are those of its record; Lease is what it
	// ends with.
	CreateRevision int64
	ModRevision    int64
	Lease          registry.LeaseID
}

// worst is the worst status of checks, or s if that is worse. A status that is
// not one of the three counts as critical.
func worst(s registry.HealthStatus, checks []*Check) registry.HealthStatus {
	s = s.Worse("")
	for _, c := range checks {
		if !c.Status.Valid() && c.Status != "" {
			return registry.Critical
		}
		s = s.Worse(c.Status)
	}
	return s
}
