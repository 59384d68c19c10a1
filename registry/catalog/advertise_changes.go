package catalog

import (
	"context"
	"fmt"

	"herald/registry"
)

// NodeChanges are the records of a node that differ from what Advertise wrote last. Instances and checks name it
// as their node, or leave that empty.
type NodeChanges struct {
	Node registry.Node // as it was advertised
	// Instances and Checks are to be as they are here.
	Instances []registry.Instance
	Checks    []registry.Check
	// GoneInstances are ids, and GoneChecks ids with the instances they were of.
	GoneInstances []string
	GoneChecks    []CheckRef
}

// CheckRef names a check of a node: its id, and the instance that it is of, "" for the node's own.
type CheckRef struct{ ServiceID, ID string }

// AdvertiseChanges writes changes of what Advertise wrote under the same lease, without a look at the rest: what it takes
// does not depend on how much the node has. If the node's own record is not want's any more, or hangs from
// another lease, it writes nothing more and returns registry.ErrNotAdvertised: Advertise is to be asked then. It notices
// nothing else that others did to the node's records; from time to time Advertise has to be asked in any case.
//
// What is written goes in one transaction, or in a few if it is very much; readers then see an instance no
// earlier than its checks, and none without a check that it still had. Errors: registry.ErrInvalid if what is to be written contradicts itself, and those of the
// store's transactions, after which some of it may have been written.
func AdvertiseChanges(ctx context.Context, s registry.Store, lease registry.LeaseID, want NodeChanges) error {
	ops, err := want.ops(lease)
	if err != nil {
		return err
	}
	own := registry.Compare{Space: registry.SpaceCatalog, KeyRange: registry.One(NodeKey(want.Node.Name)), Result: registry.Equal}
	held, same := own, own
	held.Target, held.Int = registry.CompareLease, int64(lease)
	same.Target, same.Bytes = registry.CompareValue, EncodeNode(want.Node)
	for part := range portions(ops, advertiseBytes) {
		r, err := s.Txn(ctx, registry.Txn{Compare: []registry.Compare{held, same}, Then: part})
		if err != nil {
			return fmt.Errorf("advertising changes of node %q: %w", want.Node.Name, err)
		}
		if !r.Succeeded {
			return fmt.Errorf("advertising changes of node %q: %w", want.Node.Name, registry.ErrNotAdvertised)
		}
	}
	return nil
}

// ops write the changes, in an order in which they may be written one after another.
func (want *NodeChanges) ops(lease registry.LeaseID) ([]registry.Op, error) {
	name := want.Node.Name
	if err := ValidateNode(want.Node); err != nil {
		return nil, err
	}
	of := func(what, id string, its *string) error {
		if *its == "" {
			*its = name
		}
		if fold(*its) != fold(name) {
			return fmt.Errorf("%w: %s %q is of node %q, not of %q", registry.ErrInvalid, what, id, *its, name)
		}
		return nil
	}
	var ops []registry.Op
	for _, c := range want.Checks { // before the instances that they are of
		if err := of("check", c.ID, &c.Node); err != nil {
			return nil, err
		}
		if err := ValidateCheck(c); err != nil {
			return nil, err
		}
		ops = append(ops, put(CheckKey(c.Node, c.ServiceID, c.ID), EncodeCheck(c), lease))
	}
	for _, i := range want.Instances {
		if err := of("instance", i.ID, &i.Node); err != nil {
			return nil, err
		}
		if err := ValidateInstance(i); err != nil {
			return nil, err
		}
		ops = append(ops, put(InstanceKey(i.Node, i.ID), EncodeInstance(i), lease))
	}
	for _, id := range want.GoneInstances { // before the checks that they had
		ops = append(ops, del(registry.One(InstanceKey(name, id))))
	}
	for _, c := range want.GoneChecks {
		ops = append(ops, del(registry.One(CheckKey(name, c.ServiceID, c.ID))))
	}
	return ops, nil
}
