package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"herald/registry"
)

// NodeRecords is all that the catalog is to have of one node. Instances and
// checks name it as their node, or leave that empty.
type NodeRecords struct {
	Node      registry.Node
	Instances []registry.Instance
	Checks    []registry.Check
}

// advertiseBytes bounds the keys and values that one of Advertise's transactions
// writes. It is well below the store's limit on a request (1.5 MiB unless
// configured), and small enough that a log entry of that size delays the others
// by little. Most nodes fit in one.
const advertiseBytes = 512 << 10

// Advertise makes the catalog's records of want's node equal want: it puts what
// differs, attached to lease, and deletes what want lacks. It writes nothing, and
// no revision moves, if nothing differs. When it returns without error there was a
// moment, while it ran, at which the records were exactly these.
//
// A node belongs to the node ID in its record. While that is another than want's,
// nothing is written: two nodes of one name would else take turns at deleting each
// other's services. A record without an ID, such as one that was registered from
// outside, is taken over, and so is one that hangs from this very lease.
//
// What is written goes in one transaction, or in a few if it is very much;
// readers then see an instance no earlier than its checks. A change that someone
// else makes meanwhile is noticed, and makes it look again; it does so until ctx
// ends.
//
// Errors: registry.ErrInvalid if want contradicts itself, registry.ErrNodeTaken,
// and those of the store's transactions. After the latter, and if the node was lost
// to another between two parts, some of what differs may have been written.
func Advertise(ctx context.Context, s registry.Store, lease registry.LeaseID, want NodeRecords) error {
	wanted, err := want.records()
	if err != nil {
		return err
	}
	for {
		done, err := advertise(ctx, s, lease, want.Node, wanted)
		if err != nil {
			return fmt.Errorf("advertising node %q: %w", want.Node.Name, err)
		}
		if done {
			return nil
		}
	}
}

// Withdraw removes a node and everything registered on it. Of node, the Name and
// the ID count. Like Advertise, it leaves a node that belongs to another ID alone
// and returns registry.ErrNodeTaken. That there is none is no error.
func Withdraw(ctx context.Context, s registry.Store, node registry.Node) error {
	if err := validateName("node name", node.Name); err != nil {
		return err
	}
	for {
		done, err := withdraw(ctx, s, node)
		if err != nil {
			return fmt.Errorf("withdrawing node %q: %w", node.Name, err)
		}
		if done {
			return nil
		}
	}
}

// withdraw removes a node as it was read; done is false if that must be looked at
// again.
func withdraw(ctx context.Context, s registry.Store, node registry.Node) (done bool, err error) {
	key := NodeKey(node.Name)
	read := registry.Op{Range: &registry.RangeRequest{Space: registry.SpaceCatalog, KeyRange: registry.One(key)}}
	r, err := s.Txn(ctx, registry.Txn{Then: []registry.Op{read}})
	if err != nil {
		return false, err
	}
	for _, kv := range r.Results[0].Range.KVs {
		if err := ownedBy(node, 0, kv); err != nil {
			return false, err
		}
	}
	unchanged := registry.Compare{
		Space: registry.SpaceCatalog, KeyRange: registry.One(key),
		Target: registry.CompareMod, Result: registry.Less, Int: r.Revisions[registry.SpaceCatalog] + 1,
	}
	r, err = s.Txn(ctx, registry.Txn{Compare: []registry.Compare{unchanged}, Then: DeleteNode(node.Name)})
	return r.Succeeded, err
}

// ownedBy returns registry.ErrNodeTaken, with what to do, if the record of a node
// is another's. A record that cannot be read is nobody's, so that it heals.
//
// What hangs from the caller's own lease is the caller's whatever its ID: an agent
// whose ID was changed takes its lease up again at a restart, and would else wait for
// a lease to run out that it keeps alive itself.
func ownedBy(node registry.Node, lease registry.LeaseID, kv registry.KeyValue) error {
	have, err := DecodeNode(kv.Value)
	switch {
	case err != nil || have.ID == "" || strings.EqualFold(have.ID, node.ID):
		return nil
	case kv.Lease == 0:
		return fmt.Errorf("%w: node name %q is held by node ID %s, for good (it hangs from no lease): "+
			"give this agent another name (node.name, --node-name), or deregister that node", registry.ErrNodeTaken, node.Name, have.ID)
	case kv.Lease == lease:
		return nil
	}
	return fmt.Errorf("%w: node name %q is held by node ID %s: "+
		"give this agent another name (node.name, --node-name), or wait until the other's lease has run out", registry.ErrNodeTaken, node.Name, have.ID)
}

// record is a key and the value it is to have.
type record struct {
	key   string
	value []byte
}

// records returns what want is as records, in the order in which they may be
// written one after another.
func (want NodeRecords) records() ([]record, error) {
	node := want.Node
	if err := ValidateNode(node); err != nil {
		return nil, err
	}
	of := func(what, id string, its *string) error {
		if *its == "" {
			*its = node.Name
		}
		if fold(*its) != fold(node.Name) {
			return fmt.Errorf("%w: %s %q is of node %q, not of %q", registry.ErrInvalid, what, id, *its, node.Name)
		}
		return nil
	}
	checks := map[string][]record{} // by instance id, "" for the node's own
	seen := map[string]bool{}
	for _, c := range want.Checks {
		if err := of("check", c.ID, &c.Node); err != nil {
			return nil, err
		}
		if err := ValidateCheck(c); err != nil {
			return nil, err
		}
		r := record{CheckKey(c.Node, c.ServiceID, c.ID), EncodeCheck(c)}
		if seen[r.key] {
			return nil, fmt.Errorf("%w: check %q is given twice", registry.ErrInvalid, c.ID)
		}
		seen[r.key] = true
		checks[c.ServiceID] = append(checks[c.ServiceID], r)
	}
	all := append([]record{{NodeKey(node.Name), EncodeNode(node)}}, checks[""]...)
	delete(checks, "")
	for _, i := range want.Instances {
		if err := of("instance", i.ID, &i.Node); err != nil {
			return nil, err
		}
		if err := ValidateInstance(i); err != nil {
			return nil, err
		}
		r := record{InstanceKey(i.Node, i.ID), EncodeInstance(i)}
		if seen[r.key] {
			return nil, fmt.Errorf("%w: instance %q is given twice", registry.ErrInvalid, i.ID)
		}
		seen[r.key] = true
		all = append(append(all, checks[i.ID]...), r)
		delete(checks, i.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(checks)) {
		return nil, fmt.Errorf("%w: a check is of instance %q, which is not among the instances", registry.ErrInvalid, id)
	}
	return all, nil
}

// advertise brings the store in line with wanted; done is false if that must be
// looked at again.
func advertise(ctx context.Context, s registry.Store, lease registry.LeaseID, node registry.Node, wanted []record) (done bool, err error) {
	have, revision, err := recordsOf(ctx, s, node.Name)
	if err != nil {
		return false, err
	}
	if kv, ok := have[NodeKey(node.Name)]; ok {
		// The compares below rule out that it becomes another's before the write.
		if err := ownedBy(node, lease, kv); err != nil {
			return false, err
		}
	}
	var ops []registry.Op
	for _, w := range wanted {
		kv, ok := have[w.key]
		if !ok || kv.Lease != lease || string(kv.Value) != string(w.value) {
			ops = append(ops, put(w.key, w.value, lease))
		}
		delete(have, w.key)
	}
	// Instances first, which sort last: a check that goes before its instance would
	// leave it looking healthy.
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(have))) {
		ops = append(ops, del(registry.One(key)))
	}
	for part := range portions(ops, advertiseBytes) {
		t := registry.Txn{Compare: unchangedSince(node.Name, revision), Then: append(part, counts(node.Name)...)}
		r, err := s.Txn(ctx, t)
		if err != nil || !r.Succeeded {
			return false, err
		}
		revision = r.Revisions[registry.SpaceCatalog]
		ops = ops[len(part):]
		if len(ops) > 0 {
			continue
		}
		// The compares rule out that anything was added or changed since it was
		// read, the count that anything was deleted.
		n := int64(0)
		for _, o := range r.Results[len(part):] {
			n += o.Range.Count
		}
		return n == int64(len(wanted)), nil
	}
	return true, nil
}

// recordsOf reads the records of a node as they are now.
func recordsOf(ctx context.Context, s registry.Store, node string) (map[string]registry.KeyValue, int64, error) {
	var t registry.Txn
	for _, r := range RangesOfNode(node) {
		t.Then = append(t.Then, registry.Op{Range: &registry.RangeRequest{Space: registry.SpaceCatalog, KeyRange: r}})
	}
	r, err := s.Txn(ctx, t)
	if err != nil {
		return nil, 0, err
	}
	have := map[string]registry.KeyValue{}
	for _, o := range r.Results {
		for _, kv := range o.Range.KVs {
			have[kv.Key] = kv
		}
	}
	return have, r.Revisions[registry.SpaceCatalog], nil
}

// unchangedSince holds if no record of the node was put after a revision.
func unchangedSince(node string, revision int64) []registry.Compare {
	var all []registry.Compare
	for _, r := range RangesOfNode(node) {
		all = append(all, registry.Compare{
			Space: registry.SpaceCatalog, KeyRange: r,
			Target: registry.CompareMod, Result: registry.Less, Int: revision + 1,
		})
	}
	return all
}

// counts are the operations that count the records of a node.
func counts(node string) []registry.Op {
	var ops []registry.Op
	for _, r := range RangesOfNode(node) {
		ops = append(ops, registry.Op{Range: &registry.RangeRequest{
			Space: registry.SpaceCatalog, KeyRange: r, CountOnly: true,
		}})
	}
	return ops
}

// portions yields ops in parts of about most bytes, one operation at the least.
func portions(ops []registry.Op, most int) func(yield func([]registry.Op) bool) {
	return func(yield func([]registry.Op) bool) {
		for len(ops) > 0 {
			n, size := 0, 0
			for n < len(ops) && (n == 0 || size < most) {
				size += opBytes(&ops[n])
				n++
			}
			if !yield(slices.Clip(ops[:n])) {
				return
			}
			ops = ops[n:]
		}
	}
}

// opBytes is about what an operation adds to a request.
func opBytes(o *registry.Op) int {
	const overhead = 32
	if o.Put != nil {
		return overhead + len(o.Put.Key) + len(o.Put.Value)
	}
	return overhead + len(o.Delete.Start)
}
