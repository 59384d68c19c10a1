package storetest

import (
	"fmt"
	"strconv"
	"sync"

	"herald/registry"
)

// concurrencyCases are many callers at once. They count on the race detector too.
var concurrencyCases = []testCase{
	{"writers see their own writes", func(s *subject) {
		const writers, writes = 8, 50
		var writing sync.WaitGroup
		for w := range writers {
			writing.Go(func() {
				key := fmt.Sprintf("key/%d", w)
				last := int64(0)
				for i := range writes {
					put, err := registry.Put(s.ctx, s, registry.PutRequest{Key: key, Value: []byte(strconv.Itoa(i))})
					if err != nil {
						s.Errorf("Put: %v", err)
						return
					}
					if put.Revision <= last {
						s.Errorf("revision %d follows %d", put.Revision, last)
					}
					last = put.Revision
					res, err := s.Range(s.ctx, registry.RangeRequest{KeyRange: registry.One(key)})
					switch {
					case err != nil:
						s.Errorf("Range: %v", err)
						return
					case len(res.KVs) != 1 || string(res.KVs[0].Value) != strconv.Itoa(i) || res.KVs[0].ModRevision != put.Revision:
						s.Errorf("after writing %d at %d: read %+v", i, put.Revision, res.KVs)
						return
					}
				}
			})
		}
		writing.Wait()
		s.revisionIs(registry.SpaceKV, 1+writers*writes)
	}},
	{"what one acknowledged, another reads", func(s *subject) {
		const rounds = 200
		acknowledged := make(chan int64)
		go func() {
			defer close(acknowledged)
			for i := range rounds {
				put, err := registry.Put(s.ctx, s, registry.PutRequest{Key: "a", Value: []byte(strconv.Itoa(i))})
				if err != nil {
					s.Errorf("Put: %v", err)
					return
				}
				acknowledged <- put.Revision
			}
		}()
		for rev := range acknowledged {
			if kv := s.mustGet("a"); kv.ModRevision < rev {
				s.Errorf("revision %d was acknowledged, and %d read", rev, kv.ModRevision)
			}
			res := s.txn(registry.Txn{Then: []registry.Op{readOp("a")}})
			if got := res.Results[0].Range.KVs[0].ModRevision; got < rev {
				s.Errorf("revision %d was acknowledged, and %d read by a transaction", rev, got)
			}
		}
	}},
	{"a counter loses nothing", func(s *subject) {
		const writers, increments = 6, 30
		s.put("n", "0")
		var writing sync.WaitGroup
		for range writers {
			writing.Go(func() {
				for done := 0; done < increments; {
					res, err := s.Range(s.ctx, registry.RangeRequest{KeyRange: registry.One("n")})
					if err != nil {
						s.Errorf("Range: %v", err)
						return
					}
					n, err := strconv.Atoi(string(res.KVs[0].Value))
					if err != nil {
						s.Errorf("the counter is %q", res.KVs[0].Value)
						return
					}
					t, err := s.Txn(s.ctx, registry.Txn{
						Compare: []registry.Compare{{KeyRange: registry.One("n"), Target: registry.CompareMod, Int: res.KVs[0].ModRevision}},
						Then:    []registry.Op{putOp("n", strconv.Itoa(n+1))},
					})
					if err != nil {
						s.Errorf("Txn: %v", err)
						return
					}
					if t.Succeeded {
						done++
					}
				}
			})
		}
		writing.Wait()
		s.holds(fmt.Sprintf("n=%d", writers*increments))
		s.revisionIs(registry.SpaceKV, 2+writers*increments)
	}},
	{"one lease is granted once", func(s *subject) {
		const callers = 8
		var calling sync.WaitGroup
		granted := make(chan struct{}, callers)
		for range callers {
			calling.Go(func() {
				if _, err := s.GrantLease(s.ctx, 42, registry.NoTTL); err == nil {
					granted <- struct{}{}
				} else {
					s.isError("GrantLease", err, registry.ErrLeaseExists)
				}
			})
		}
		calling.Wait()
		s.equal("grants", len(granted), 1)
	}},
	{"watchers see every commit while others write", func(s *subject) {
		const writers, writes, watchers = 4, 100, 6
		const last = 1 + writers*writes
		var working sync.WaitGroup
		for i := range watchers {
			r := registry.WatchRequest{KeyRange: registry.Prefix("w/"), Buffer: 1 + i*i*i}
			if i%2 == 1 {
				r.StartRevision = 2
			}
			w := s.watch(r)
			working.Go(func() {
				for seen := int64(1); seen < last; {
					commits, err := w.Next(s.ctx)
					if err != nil {
						s.Errorf("Next, after revision %d: %v", seen, err)
						return
					}
					for _, c := range commits {
						if c.Revision != seen+1 {
							s.Errorf("revision %d follows %d", c.Revision, seen)
							return
						}
						seen = c.Revision
					}
				}
			})
		}
		for i := range writers {
			working.Go(func() {
				for range writes {
					if _, err := registry.Put(s.ctx, s, registry.PutRequest{Key: fmt.Sprintf("w/%d", i)}); err != nil {
						s.Errorf("Put: %v", err)
						return
					}
				}
			})
		}
		working.Wait()
	}},
}
