package catalog

import (
	"slices"
	"strings"

	"herald/registry"
)

// PutNode is the operation that registers a node. Like all puts here it is
// IfChanged: one that changes nothing writes nothing and wakes nobody. The
// record ends with lease; with 0 it stays until it is deleted.
//
// The names in a record that is written must have passed ValidateNode,
// ValidateInstance or ValidateCheck: a record with a bad name is never shown.
func PutNode(n registry.Node, lease registry.LeaseID) registry.Op {
	return put(NodeKey(n.Name), EncodeNode(n), lease)
}

// PutInstance is the operation that registers an instance.
func PutInstance(i registry.Instance, lease registry.LeaseID) registry.Op {
	return put(InstanceKey(i.Node, i.ID), EncodeInstance(i), lease)
}

// PutCheck is the operation that writes a check.
func PutCheck(c registry.Check, lease registry.LeaseID) registry.Op {
	return put(CheckKey(c.Node, c.ServiceID, c.ID), EncodeCheck(c), lease)
}

// DeleteNode are the operations that remove a node, its instances and all of
// their checks.
//
// No name has a NUL in it. Keys are made with one, so that the ranges of a name that has
// would be those of other things; nothing is registered under it, and there are no
// operations. So it is with DeleteInstance and DeleteCheck.
func DeleteNode(name string) []registry.Op {
	if impossible(name) {
		return nil
	}
	var ops []registry.Op
	for _, r := range RangesOfNode(name) {
		ops = append(ops, del(r))
	}
	return ops
}

// DeleteInstance are the operations that remove an instance and its checks.
func DeleteInstance(node, id string) []registry.Op {
	if impossible(node, id) {
		return nil
	}
	return []registry.Op{
		del(registry.One(InstanceKey(node, id))),
		del(registry.Prefix(CheckKey(node, id, ""))),
	}
}

// DeleteCheck are the operations that remove a check.
func DeleteCheck(node, serviceID, checkID string) []registry.Op {
	if impossible(node, serviceID, checkID) {
		return nil
	}
	return []registry.Op{del(registry.One(CheckKey(node, serviceID, checkID)))}
}

// impossible says that nothing can have one of the names.
func impossible(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, separator) })
}

func put(key string, value []byte, lease registry.LeaseID) registry.Op {
	return registry.Op{Put: &registry.PutRequest{
		Space: registry.SpaceCatalog, Key: key, Value: value, Lease: lease, IfChanged: true,
	}}
}

func del(r registry.KeyRange) registry.Op {
	return registry.Op{Delete: &registry.DeleteRequest{Space: registry.SpaceCatalog, KeyRange: r}}
}
