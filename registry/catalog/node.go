package catalog

import (
	"sync/atomic"

	"herald/registry"
	"herald/registry/cow"
)

// Node is a node with the checks of its own.
type Node struct {
	registry.Node
	// CreateRevision and ModRevision are those of the node's own record; Lease is
	// what it ends with.
	CreateRevision int64
	ModRevision    int64
	Lease          registry.LeaseID
	// Checks are the node-level checks, by id.
	Checks []*Check

	status registry.HealthStatus
	// slots are what is registered on the node; nil in an Instance's Host, which
	// would otherwise keep alive every version of its neighbours.
	slots     *cow.Map[string, *Instance]
	instances atomic.Pointer[[]*Instance]
}

// Status is the worst of the node's own checks; passing if it has none.
func (n *Node) Status() registry.HealthStatus { return n.status }

// Instances returns what runs on the node, by id. It is for a Node got from an
// Index; that which an Instance has as its Host does not know them.
func (n *Node) Instances() []*Instance {
	if p := n.instances.Load(); p != nil {
		return *p
	}
	var all []*Instance
	if n.slots != nil {
		all = make([]*Instance, 0, n.slots.Len())
		n.slots.Scan(func(_ string, i *Instance) bool {
			if i.shown() {
				all = append(all, i)
			}
			return true
		})
	}
	n.instances.Store(&all)
	return all
}

// Instance returns the instance of that id, or nil. Like Instances, it is for a
// Node got from an Index.
func (n *Node) Instance(id string) *Instance {
	if n.slots == nil {
		return nil
	}
	if i, ok := n.slots.Get(id); ok && i.shown() {
		return i
	}
	return nil
}
