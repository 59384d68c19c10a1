package storetest

import (
	"context"

	"herald/registry"
)

// compactCases are what compaction takes away, and what it leaves.
var compactCases = []testCase{
	{"below it nothing can be read", func(s *subject) {
		for _, v := range []string{"1", "2", "3"} {
			s.put("a", v) // revisions 2 to 4
		}
		s.put("b", "1")
		s.del(registry.One("b")) // 6
		s.compact(registry.SpaceKV, 4)
		at := func(rev int64) (string, error) {
			res, err := s.Range(s.ctx, registry.RangeRequest{KeyRange: registry.All(), Revision: rev})
			return showKVs(res.KVs), err
		}
		for _, rev := range []int64{1, 2, 3} {
			_, err := at(rev)
			s.isCompacted("Range", err, registry.SpaceKV, 4)
		}
		_, err := s.Txn(s.ctx, registry.Txn{Then: []registry.Op{op(registry.RangeRequest{KeyRange: registry.All(), Revision: 3})}})
		s.isCompacted("a transaction that reads", err, registry.SpaceKV, 4)
		err = s.fails(registry.ErrCompacted, putOp("c", "1"), op(registry.RangeRequest{KeyRange: registry.All(), Revision: 3}))
		s.isCompacted("a transaction that writes", err, registry.SpaceKV, 4)
		for rev, want := range map[int64]string{4: "a=3", 5: "a=3 b=1", 6: "a=3", 0: "a=3"} {
			got, err := at(rev)
			s.isError("Range", err, nil)
			s.equal("Range", got, want)
		}
		s.revisionIs(registry.SpaceKV, 6)
		s.is("a", s.mustGet("a"), registry.KeyValue{Key: "a", Value: []byte("3"), CreateRevision: 2, ModRevision: 4, Version: 3})
	}},
	{"revisions that cannot be compacted", func(s *subject) {
		s.put("a", "1")
		s.put("a", "2")
		s.isError("beyond the current one", s.Compact(s.ctx, registry.SpaceKV, 4), registry.ErrFutureRevision)
		s.isError("of no space", s.Compact(s.ctx, registry.NumSpaces, 2), registry.ErrInvalid)
		s.compact(registry.SpaceKV, 2)
		s.isCompacted("done already", s.Compact(s.ctx, registry.SpaceKV, 2), registry.SpaceKV, 2)
		s.isCompacted("below", s.Compact(s.ctx, registry.SpaceKV, 1), registry.SpaceKV, 2)
		s.compact(registry.SpaceKV, 3)
		s.holds("a=2")
		s.revisionIs(registry.SpaceKV, 3)
	}},
	{"its memory", func(s *subject) {
		sweeper, ok := s.Store.(registry.Sweeper)
		if !ok {
			return // it has none to wait for
		}
		for range 300 {
			s.put("a", "1")
		}
		s.compact(registry.SpaceKV, 300)
		s.isError("swept", sweeper.AwaitSwept(s.ctx, registry.SpaceKV, 300), nil)
		s.isError("swept again", sweeper.AwaitSwept(s.ctx, registry.SpaceKV, 2), nil)
		ended, end := context.WithCancel(s.ctx)
		go end()
		s.isError("not compacted", sweeper.AwaitSwept(ended, registry.SpaceKV, 301), context.Canceled)
		s.holds("a=1")
	}},
	{"of one space alone", func(s *subject) {
		for range 3 {
			s.do(putOp("a", "1"), op(registry.PutRequest{Space: registry.SpaceCatalog, Key: "a"}))
		}
		s.compact(registry.SpaceCatalog, 4)
		s.equal("the other", showKVs(s.read(registry.RangeRequest{KeyRange: registry.All(), Revision: 2}).KVs), "a=1")
		_, err := s.Range(s.ctx, registry.RangeRequest{Space: registry.SpaceCatalog, KeyRange: registry.All(), Revision: 2})
		s.isCompacted("the one", err, registry.SpaceCatalog, 4)
	}},
	{"watches", func(s *subject) {
		s.put("a", "1")
		s.put("a", "2")
		s.del(registry.One("a")) // 4
		s.put("b", "1")
		s.compact(registry.SpaceKV, 4)
		_, err := s.Watch(s.ctx, registry.WatchRequest{KeyRange: registry.All(), StartRevision: 3})
		s.isCompacted("from below it", err, registry.SpaceKV, 4)
		// The deletion at the compacted revision itself is still told, with what was there.
		w := s.watch(registry.WatchRequest{KeyRange: registry.All(), StartRevision: 4})
		commits := s.next(w, 2)
		s.equal("from it on", showCommits(commits), "4:-a 5:b=1")
		if prev := commits[0].Events[0].Prev; prev == nil || string(prev.Value) != "2" {
			s.Errorf("Prev of the deletion: got %+v, want the value 2", prev)
		}
		s.sees(s.watch(registry.WatchRequest{KeyRange: registry.All(), StartRevision: 5}), "5:b=1")
	}},
	{"a watcher that is caught up does not notice", func(s *subject) {
		w := s.watch(registry.WatchRequest{KeyRange: registry.Prefix("a")})
		const rounds = 20
		for range rounds {
			s.put("a", "1")
			rev := s.put("a", "2").Revision
			s.compact(registry.SpaceKV, rev)
		}
		commits, last := s.next(w, 2*rounds), int64(1)
		for _, c := range commits {
			if c.Revision != last+1 {
				s.Fatalf("revision %d follows %d", c.Revision, last)
			}
			last = c.Revision
		}
	}},
	{"leased keys survive it", func(s *subject) {
		id := s.grant(registry.NoTTL)
		s.putAs(registry.PutRequest{Key: "a", Lease: id})
		s.put("b", "1")
		s.compact(registry.SpaceKV, 3)
		s.revoke(id)
		s.holds("b=1")
	}},
}
