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
