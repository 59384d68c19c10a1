package storetest

import "herald/registry"

// lockCases are the lock that every key has.
var lockCases = []testCase{
	{"taken and freed", func(s *subject) {
		first, second := s.grant(registry.NoTTL), s.grant(registry.NoTTL)
		lock := func(what string, a registry.LockAction, holder registry.LeaseID, want registry.Lock) {
			s.Helper()
			s.putAs(registry.PutRequest{Key: "k", Lock: a, Holder: holder})
			s.equal(what, s.mustGet("k").Lock, want)
		}
		lock("taken with the key's creation", registry.LockAcquire, first, registry.Lock{Holder: first, Count: 1})
		lock("taken by its holder", registry.LockAcquire, first, registry.Lock{Holder: first, Count: 1})
		lock("left alone", registry.LockKeep, 0, registry.Lock{Holder: first, Count: 1})
		lock("freed", registry.LockRelease, 0, registry.Lock{Count: 1})
		lock("freed again", registry.LockRelease, 0, registry.Lock{Count: 1})
		lock("taken by another", registry.LockAcquire, second, registry.Lock{Holder: second, Count: 2})
		lock("forgotten", registry.LockForget, 0, registry.Lock{Holder: second})
		lock("taken over", registry.LockAcquire, first, registry.Lock{Holder: first, Count: 1})
		s.equal("Version", s.mustGet("k").Version, int64(8))
	}},
	{"whether it may be taken is for a compare to say", func(s *subject) {
		first, second := s.grant(registry.NoTTL), s.grant(registry.NoTTL)
		acquire := func(id registry.LeaseID) bool {
			s.Helper()
			take := op(registry.PutRequest{Key: "k", Lock: registry.LockAcquire, Holder: id})
			res := s.txn(registry.Txn{
				Compare: []registry.Compare{{KeyRange: registry.One("k"), Target: registry.CompareLockHolder}},
				Then:    []registry.Op{take},
			})
			return res.Succeeded
		}
		s.equal("the first", acquire(first), true)
		s.equal("the second", acquire(second), false)
		s.revoke(first)
		s.equal("the second, after the first ended", acquire(second), true)
		s.equal("Count", s.mustGet("k").Lock, registry.Lock{Holder: second, Count: 2})
	}},
	{"a holder that does not exist", func(s *subject) {
		s.fails(registry.ErrLeaseNotFound, op(registry.PutRequest{Key: "k", Lock: registry.LockAcquire, Holder: 77}))
		s.fails(registry.ErrInvalid, op(registry.PutRequest{Key: "k", Lock: registry.LockAcquire}))
	}},
	{"its holder's end frees it, and the key stays", func(s *subject) {
		holder := s.grant(registry.NoTTL)
		s.putAs(registry.PutRequest{Key: "k", Value: []byte("v"), Flags: 3, Lock: registry.LockAcquire, Holder: holder})
		w := s.watch(registry.WatchRequest{KeyRange: registry.One("k")})
		s.revoke(holder)
		s.is("the key", s.mustGet("k"), registry.KeyValue{
			Key: "k", Value: []byte("v"), Flags: 3, CreateRevision: 2, ModRevision: 3, Version: 2, Lock: registry.Lock{Count: 1},
		})
		s.sees(w, "3:k=v")
	}},
	{"a key attached to its holder goes with it", func(s *subject) {
		holder := s.grant(registry.NoTTL)
		s.putAs(registry.PutRequest{Key: "k", Lease: holder, Lock: registry.LockAcquire, Holder: holder})
		s.revoke(holder)
		s.holds("")
	}},
}
