package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"

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
// differs, attached to lease, and deletes what want lacks, whoever wrote that.
// It writes nothing, and no revision moves, if nothing differs. When it returns
// without error there was a moment, while it ran, at which the records were
// exactly these.
//
// What is written goes in one transaction, or in a few if it is very much;
// readers then see an instance no earlier than its checks. A change that someone
// else makes meanwhile is noticed, and makes it look again; it does so until ctx
// ends.
//
// Errors: registry.ErrInvalid if want contradicts itself, and those of the
// store's transactions; some of what differs may then have been written.
func Advertise(ctx context.Context, s registry.Store, lease registry.LeaseID, want NodeRecords) error {
	wanted, err := want.records()
	if err != nil {
		return err
	}
	for {
		done, err := advertise(ctx, s, lease, want.Node.Name, wanted)
		if err != nil {
			return fmt.Errorf("advertising node %q: %w", want.Node.Name, err)
		}
		if done {
			return nil
		}
	}
}

// Withdraw removes a node and everything registered on it.
func Withdraw(ctx context.Context, s registry.Store, node string) error {
	if err := validateName("node name", node); err != nil {
		return err
	}
	if _, err := s.Txn(ctx, registry.Txn{Then: DeleteNode(node)}); err != nil {
		return fmt.Errorf("withdrawing node %q: %w", node, err)
	}
	return nil
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
func advertise(ctx context.Context, s registry.Store, lease registry.LeaseID, node string, wanted []record) (done bool, err error) {
	have, revision, err := recordsOf(ctx, s, node)
	if err != nil {
		return false, err
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
		t := registry.Txn{Compare: unchangedSince(node, revision), Then: append(part, counts(node)...)}
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
	for _, r := range rangesOfNode(node) {
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
	for _, r := range rangesOfNode(node) {
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
	for _, r := range rangesOfNode(node) {
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
