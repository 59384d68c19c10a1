package workload

import (
	"context"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// readStep reads registers of one group over the Go contract: one as itself, several as
// the group's range.
func readStep(keys ...string) step {
	return func(ctx context.Context, s *server, o *history.KV) error {
		r := registry.RangeRequest{Space: registry.SpaceKV, KeyRange: registry.Prefix(o.Group)}
		if len(keys) == 1 {
			r.KeyRange = registry.One(keys[0])
		}
		if o.Mode == history.Stale {
			r.Consistency = registry.Stale
		}
		res, err := s.over(o.Via).Range(ctx, r)
		if err != nil {
			return err
		}
		o.Got, o.Rev, o.Age = cellsOf(keys, res.KVs), res.Revision, res.Age
		return nil
	}
}

// txnStep makes a step with conditions and writes over the Go contract.
func txnStep(ctx context.Context, s *server, o *history.KV) error {
	var t registry.Txn
	var keys []string
	for _, c := range o.If {
		t.Compare = append(t.Compare, registry.Compare{
			Space: registry.SpaceKV, KeyRange: registry.One(c.Key), Target: registry.CompareMod, Int: c.Rev,
		})
		keys = append(keys, c.Key)
		t.Else = append(t.Else, registry.Op{Range: &registry.RangeRequest{Space: registry.SpaceKV, KeyRange: registry.One(c.Key)}})
	}
	for _, w := range o.Set {
		op := registry.Op{Put: &registry.PutRequest{Space: registry.SpaceKV, Key: w.Key, Value: []byte(w.Value)}}
		if w.Delete {
			op = registry.Op{Delete: &registry.DeleteRequest{Space: registry.SpaceKV, KeyRange: registry.One(w.Key)}}
		}
		t.Then = append(t.Then, op)
	}
	res, err := s.over(o.Via).Txn(ctx, t)
	if err != nil {
		return err
	}
	o.Missed, o.Rev = !res.Succeeded, res.Revisions[registry.SpaceKV]
	if o.Missed {
		var found []registry.KeyValue
		for _, r := range res.Results {
			found = append(found, r.Range.KVs...)
		}
		o.Got = cellsOf(keys, found)
	}
	return nil
}

// cellsOf is the keys as they were found, those that are absent included.
func cellsOf(keys []string, found []registry.KeyValue) []history.Cell {
	cells := make([]history.Cell, len(keys))
	for i, k := range keys {
		cells[i].Key = k
		for j := range found {
			if found[j].Key == k {
				cells[i].Value, cells[i].Rev = string(found[j].Value), found[j].ModRevision
			}
		}
	}
	return cells
}
