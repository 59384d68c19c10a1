package storetest

import (
	"context"
	"errors"

	"herald/registry"
)

// txnCases are transactions.
var txnCases = []testCase{
	{"a branch by its compares", func(s *subject) {
		s.put("a", "1")
		t := registry.Txn{
			Compare: []registry.Compare{
				{KeyRange: registry.One("a"), Target: registry.CompareValue, Bytes: []byte("1")},
				{KeyRange: registry.One("b"), Target: registry.CompareCreate},
			},
			Then: []registry.Op{putOp("b", "then")},
			Else: []registry.Op{putOp("b", "else"), readOp("a")},
		}
		res := s.txn(t)
		s.equal("Succeeded, when all hold", res.Succeeded, true)
		s.equal("Results", len(res.Results), 1)
		s.holds("a=1 b=then")
		res = s.txn(t)
		s.equal("Succeeded, when one does not", res.Succeeded, false)
		s.equal("Results", len(res.Results), 2)
		s.holds("a=1 b=else")
	}},
	{"later operations see earlier ones", func(s *subject) {
		s.put("a", "1")
		s.put("b", "1")
		res := s.do(readOp("a"), putOp("a", "2"), readOp("a"), deleteOp("b"),
			op(registry.RangeRequest{KeyRange: registry.All()}), putOp("c", "3"))
		s.equal("before", showKVs(res.Results[0].Range.KVs), "a=1")
		s.equal("after", showKVs(res.Results[2].Range.KVs), "a=2")
		s.equal("ModRevision inside", res.Results[2].Range.KVs[0].ModRevision, int64(4))
		s.equal("the revision before", res.Results[0].Range.Revision, int64(3))
		s.equal("the revision after", res.Results[2].Range.Revision, int64(4))
		s.equal("Deleted", res.Results[3].Delete.Deleted, int64(1))
		s.equal("all", showKVs(res.Results[4].Range.KVs), "a=2")
		s.holds("a=2 c=3")
	}},
	{"a read of an old revision sees no writes", func(s *subject) {
		s.put("a", "1")
		res := s.do(putOp("a", "2"), op(registry.RangeRequest{KeyRange: registry.One("a"), Revision: 2}))
		s.equal("at revision 2", showKVs(res.Results[1].Range.KVs), "a=1")
	}},
	{"nesting", func(s *subject) {
		s.put("a", "1")
		isOne := []registry.Compare{{KeyRange: registry.One("a"), Target: registry.CompareValue, Bytes: []byte("1")}}
		res := s.do(
			putOp("a", "2"),
			// Its compare is of the state before all of it, its read is not.
			op(registry.Txn{Compare: isOne, Then: []registry.Op{readOp("a"), putOp("b", "then")}, Else: []registry.Op{putOp("b", "else")}}),
			op(registry.Txn{Then: []registry.Op{op(registry.Txn{Compare: isOne, Then: []registry.Op{putOp("c", "deep")}})}}),
		)
		s.equal("Succeeded", res.Results[1].Txn.Succeeded, true)
		s.equal("the nested read", showKVs(res.Results[1].Txn.Results[0].Range.KVs), "a=2")
		s.equal("deeper", res.Results[2].Txn.Results[0].Txn.Succeeded, true)
		s.holds("a=2 b=then c=deep")
		s.revisionIs(registry.SpaceKV, 3)
	}},
	{"a failed requirement leaves no trace", func(s *subject) {
		s.put("a", "1")
		s.put("c", "1")
		require := registry.Compare{KeyRange: registry.One("a"), Target: registry.CompareMod, Int: 9}
		err := s.fails(registry.ErrRequire,
			putOp("b", "1"), deleteOp("c"), putOp("x", "created"), deleteOp("x"),
			op(registry.PutRequest{Space: registry.SpaceCatalog, Key: "n"}), op(require))
		var failed *registry.RequireError
		if !errors.As(err, &failed) {
			s.Fatalf("got %v, want a *RequireError", err)
		}
		s.equal("Op", failed.Op, 5)
		s.is("Have", failed.Have, registry.KeyValue{Key: "a", Value: []byte("1"), CreateRevision: 2, ModRevision: 2, Version: 1})
		s.holds("a=1 c=1")
		s.revisionIs(registry.SpaceKV, 3)
		s.revisionIs(registry.SpaceCatalog, 1)
		s.is("c", s.mustGet("c"), registry.KeyValue{Key: "c", Value: []byte("1"), CreateRevision: 3, ModRevision: 3, Version: 1})
	}},
	{"a requirement of a key that does not exist", func(s *subject) {
		err := s.fails(registry.ErrRequire, op(registry.Compare{KeyRange: registry.One("a"), Target: registry.CompareVersion, Int: 1}))
		var failed *registry.RequireError
		if !errors.As(err, &failed) {
			s.Fatalf("got %v, want a *RequireError", err)
		}
		s.is("Have", failed.Have, registry.KeyValue{Key: "a"})
	}},
	{"a requirement sees the operations before it", func(s *subject) {
		hasB := op(registry.Compare{KeyRange: registry.One("b"), Target: registry.CompareVersion, Result: registry.Greater})
		s.do(putOp("b", "1"), hasB, putOp("c", "1"))
		s.fails(registry.ErrRequire, deleteOp("b"), hasB)
		s.fails(registry.ErrRequire, op(registry.Txn{Then: []registry.Op{putOp("d", "1"), deleteOp("b"), hasB}}))
		s.holds("b=1 c=1")
	}},
	{"an error leaves no trace", func(s *subject) {
		s.put("a", "1")
		s.put("a", "2")
		for _, bad := range []struct {
			op   registry.Op
			want error
		}{
			{op(registry.PutRequest{Key: "l", Lease: 12345}), registry.ErrLeaseNotFound},
			{op(registry.PutRequest{Key: "l", Lock: registry.LockAcquire, Holder: 12345}), registry.ErrLeaseNotFound},
			{op(registry.PutRequest{Key: "l", KeepValue: true}), registry.ErrKeyNotFound},
			{op(registry.RangeRequest{KeyRange: registry.All(), Revision: 99}), registry.ErrFutureRevision},
			{op(registry.PutRequest{}), registry.ErrEmptyKey},
			{deleteOp(""), registry.ErrEmptyKey},
			{registry.Op{}, registry.ErrInvalid},
			{op(registry.PutRequest{Space: registry.NumSpaces, Key: "a"}), registry.ErrInvalid},
		} {
			s.fails(bad.want, putOp("a", "3"), putOp("b", "1"), bad.op)
		}
		s.holds("a=2")
		s.revisionIs(registry.SpaceKV, 3)
	}},
	{"results have what they did", func(s *subject) {
		s.put("a", "1")
		s.put("b", "2")
		res := s.do(
			op(registry.PutRequest{Key: "a", Value: []byte("2"), PrevKV: true}),
			op(registry.PutRequest{Key: "new", PrevKV: true}),
			op(registry.PutRequest{Key: "a", Value: []byte("2"), IfChanged: true}),
			op(registry.DeleteRequest{KeyRange: registry.Prefix("b"), PrevKV: true}),
			op(registry.Compare{KeyRange: registry.One("a"), Target: registry.CompareVersion, Int: 2}),
		)
		s.is("Prev of a put", *res.Results[0].Put.Prev, registry.KeyValue{Key: "a", Value: []byte("1"), CreateRevision: 2, ModRevision: 2, Version: 1})
		s.equal("Written", res.Results[0].Put.Written, true)
		s.equal("Prev of a new key", res.Results[1].Put.Prev, (*registry.KeyValue)(nil))
		s.equal("Written, unchanged", res.Results[2].Put.Written, false)
		s.equal("Prev of a delete", showKVs(res.Results[3].Delete.Prev), "b=2")
		s.equal("of a requirement", res.Results[4], registry.OpResult{})
		s.equal("Prev, not asked for", s.putAs(registry.PutRequest{Key: "a"}).Prev, (*registry.KeyValue)(nil))
	}},
	{"one that only reads", func(s *subject) {
		s.put("a", "1")
		s.put("a", "2")
		res := s.txn(registry.Txn{
			Compare: []registry.Compare{{KeyRange: registry.One("a"), Target: registry.CompareVersion, Int: 2}},
			Then:    []registry.Op{readOp("a"), op(registry.RangeRequest{KeyRange: registry.One("a"), Revision: 2}), op(registry.Txn{Then: []registry.Op{readOp("b")}})},
		})
		s.equal("Succeeded", res.Succeeded, true)
		s.equal("now", showKVs(res.Results[0].Range.KVs), "a=2")
		s.equal("before", showKVs(res.Results[1].Range.KVs), "a=1")
		s.equal("nested", res.Results[2].Txn.Results[0].Range.Count, int64(0))
		s.equal("Revisions", res.Revisions, registry.Revisions{3, 1, 1, 1})
		s.fails(registry.ErrRequire, op(registry.Compare{KeyRange: registry.One("a"), Target: registry.CompareVersion, Int: 1}))
	}},
	{"a context that has ended", func(s *subject) {
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		_, err := s.Txn(ctx, registry.Txn{Then: []registry.Op{putOp("a", "1")}})
		s.isError("Txn", err, context.Canceled)
		_, err = s.Range(ctx, registry.RangeRequest{KeyRange: registry.All()})
		s.isError("Range", err, context.Canceled)
	}},
}
