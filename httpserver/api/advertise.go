package api

import "herald/registry"

// Advertisement is the body of PUT /v1/catalog/advertise: everything that one node
// has. What the catalog has of the node and this lacks is deleted. Unlike other
// bodies it may have fields that the server does not know, so that agents and
// servers of neighbouring versions work together.
type Advertisement struct {
	// Lease is what every record is attached to; "0" makes them permanent.
	Lease LeaseID
	// Datacenter is the sender's. A server of another refuses; "" is not checked.
	Datacenter string `json:",omitempty"`
	Node       registry.Node
	Instances  []registry.Instance
	Checks     []registry.Check
}

// AdvertisedChanges is the body of PUT /v1/catalog/advertise/changes: what differs from
// the last Advertisement of a node under the same lease. Records that are not named
// stay as they are.
type AdvertisedChanges struct {
	// Lease, Datacenter and Node are as they were in the advertisement.
	Lease      LeaseID
	Datacenter string `json:",omitempty"`
	Node       registry.Node
	// Instances and Checks are to be as they are here.
	Instances []registry.Instance `json:",omitempty"`
	Checks    []registry.Check    `json:",omitempty"`
	// GoneInstances are ids.
	GoneInstances []string    `json:",omitempty"`
	GoneChecks    []GoneCheck `json:",omitempty"`
}

// GoneCheck names a check of a node by the instance that it was of, "" for the node
// itself, and its id.
type GoneCheck struct{ ServiceID, ID string }
