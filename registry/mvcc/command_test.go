package mvcc

import (
	"errors"
	"testing"

	"herald/registry"
)

func TestValidate(t *testing.T) {
	op := func(o registry.Op) Command { return Command{Txn: &registry.Txn{Then: []registry.Op{o}}} }
	put := func(p registry.PutRequest) Command { return op(registry.Op{Put: &p}) }
	rng := func(q registry.RangeRequest) Command { return op(registry.Op{Range: &q}) }
	cmp := func(c registry.Compare) Command { return Command{Txn: &registry.Txn{Compare: []registry.Compare{c}}} }
	nest := func(depth int) Command {
		x := &registry.Txn{}
		for range depth {
			x = &registry.Txn{Else: []registry.Op{{Txn: x}}}
		}
		return Command{Txn: x}
	}
	const noSpace = registry.Space(registry.NumSpaces)
	for _, c := range []struct {
		name string
		c    Command
		want error
	}{
		{"nothing", Command{}, registry.ErrInvalid},
		{"two kinds", Command{Txn: &registry.Txn{}, Grant: &LeaseGrant{ID: 1}}, registry.ErrInvalid},
		{"empty transaction", Command{Txn: &registry.Txn{}}, nil},
		{"empty operation", op(registry.Op{}), registry.ErrInvalid},
		{"two operations in one", op(registry.Op{Put: &registry.PutRequest{Key: "a"}, Txn: &registry.Txn{}}), registry.ErrInvalid},
		{"put", put(registry.PutRequest{Key: "a"}), nil},
		{"put of no key", put(registry.PutRequest{}), registry.ErrEmptyKey},
		{"put in no space", put(registry.PutRequest{Key: "a", Space: noSpace}), registry.ErrInvalid},
		{"unknown lock action", put(registry.PutRequest{Key: "a", Lock: registry.LockForget + 1}), registry.ErrInvalid},
		{"lock for nobody", put(registry.PutRequest{Key: "a", Lock: registry.LockAcquire}), registry.ErrInvalid},
		{"range of all", rng(registry.RangeRequest{KeyRange: registry.All()}), nil},
		{"range of no key", rng(registry.RangeRequest{}), registry.ErrEmptyKey},
		{"range in no space", rng(registry.RangeRequest{Space: noSpace, KeyRange: registry.One("a")}), registry.ErrInvalid},
		{"unknown sort target", rng(registry.RangeRequest{KeyRange: registry.One("a"), SortTarget: registry.SortByValue + 1}), registry.ErrInvalid},
		{"unknown sort order", rng(registry.RangeRequest{KeyRange: registry.One("a"), SortOrder: registry.SortDescend + 1}), registry.ErrInvalid},
		{"delete of no key", op(registry.Op{Delete: &registry.DeleteRequest{}}), registry.ErrEmptyKey},
		{"delete in no space", op(registry.Op{Delete: &registry.DeleteRequest{Space: noSpace, KeyRange: registry.All()}}), registry.ErrInvalid},
		{"compare of no key", cmp(registry.Compare{}), registry.ErrEmptyKey},
		{"compare in no space", cmp(registry.Compare{Space: noSpace, KeyRange: registry.One("a")}), registry.ErrInvalid},
		{"unknown compare target", cmp(registry.Compare{KeyRange: registry.One("a"), Target: registry.CompareLockCount + 1}), registry.ErrInvalid},
		{"unknown compare operator", cmp(registry.Compare{KeyRange: registry.One("a"), Result: registry.Less + 1}), registry.ErrInvalid},
		{"requirement of no key", op(registry.Op{Require: &registry.Compare{}}), registry.ErrEmptyKey},
		{"what is wrong in the branch not taken", Command{Txn: &registry.Txn{Else: []registry.Op{{Put: &registry.PutRequest{}}}}}, registry.ErrEmptyKey},
		{"deep", nest(maxTxnDepth), nil},
		{"too deep", nest(maxTxnDepth + 1), registry.ErrInvalid},
		{"grant", Command{Grant: &LeaseGrant{ID: -1, TTL: registry.MaxTTL}}, nil},
		{"grant without an id", Command{Grant: &LeaseGrant{TTL: 1}}, registry.ErrInvalid},
		{"grant for too long", Command{Grant: &LeaseGrant{ID: 1, TTL: registry.MaxTTL + 1}}, registry.ErrInvalidTTL},
		{"grant for less than nothing", Command{Grant: &LeaseGrant{ID: 1, TTL: -1}}, registry.ErrInvalidTTL},
		{"revoke of nothing", Command{Revoke: &LeaseRevoke{}}, nil},
		{"compact", Command{Compact: &Compact{Revision: -5}}, nil},
		{"compact no space", Command{Compact: &Compact{Space: noSpace}}, registry.ErrInvalid},
		{"checkpoint", Command{Checkpoint: &LeaseCheckpoint{Remaining: []LeaseRemaining{{1, 0}}}}, nil},
		{"checkpoint below nothing", Command{Checkpoint: &LeaseCheckpoint{Remaining: []LeaseRemaining{{1, -1}}}}, registry.ErrInvalidTTL},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.c.Validate(); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("Validate: %v, want %v", err, c.want)
			}
			if c.want == nil {
				return
			}
			s := snapshotState(t)
			before := s.View().Hash()
			if res := s.Apply(&c.c); !errors.Is(res.Err, c.want) || res.Revisions != s.View().Revisions() {
				t.Errorf("Apply: %+v, want %v", res, c.want)
			}
			if s.Publish().Hash() != before {
				t.Error("an invalid command changed the state")
			}
		})
	}
}
