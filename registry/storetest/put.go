package storetest

import "herald/registry"

// putCases are what a put keeps, and when it writes.
var putCases = []testCase{
	{"keeps what it is told to", func(s *subject) {
		lease := s.grant(registry.NoTTL)
		was := registry.PutRequest{Key: "a", Value: []byte("1"), Lease: lease, Flags: 5}
		for _, tt := range []struct {
			name string
			p    registry.PutRequest
			want registry.KeyValue
		}{
			{"nothing", registry.PutRequest{Value: []byte("2")}, registry.KeyValue{Value: []byte("2")}},
			{"value", registry.PutRequest{KeepValue: true, Flags: 6}, registry.KeyValue{Value: []byte("1"), Flags: 6}},
			{"lease", registry.PutRequest{KeepLease: true, Value: []byte("2")}, registry.KeyValue{Value: []byte("2"), Lease: lease}},
			{"flags", registry.PutRequest{KeepFlags: true, Flags: 9}, registry.KeyValue{Flags: 5}},
			{"all", registry.PutRequest{KeepValue: true, KeepLease: true, KeepFlags: true}, registry.KeyValue{Value: []byte("1"), Lease: lease, Flags: 5}},
		} {
			s.del(registry.One("a"))
			s.putAs(was)
			before := s.mustGet("a")
			tt.p.Key = "a"
			s.equal(tt.name+": Written", s.putAs(tt.p).Written, true)
			tt.want.Key, tt.want.Version = "a", 2
			tt.want.CreateRevision, tt.want.ModRevision = before.ModRevision, before.ModRevision+1
			s.is(tt.name, s.mustGet("a"), tt.want)
		}
	}},
	{"keeping something of no key", func(s *subject) {
		s.fails(registry.ErrKeyNotFound, op(registry.PutRequest{Key: "a", KeepValue: true}))
		s.fails(registry.ErrKeyNotFound, op(registry.PutRequest{Key: "a", KeepLease: true}))
		s.putAs(registry.PutRequest{Key: "a", KeepFlags: true, Flags: 3})
		s.equal("Flags", s.mustGet("a").Flags, uint64(3))
	}},
	{"if changed", func(s *subject) {
		lease := s.grant(registry.NoTTL)
		base := registry.PutRequest{Key: "a", Value: []byte("1"), Flags: 5, IfChanged: true}
		s.equal("a new key", s.putAs(base).Written, true)
		unchanged := s.putAs(base)
		s.equal("the same", unchanged.Written, false)
		s.equal("its revision", unchanged.Revision, int64(2))
		change := func(with func(p *registry.PutRequest)) bool {
			p := base
			with(&p)
			return s.putAs(p).Written
		}
		s.equal("another value", change(func(p *registry.PutRequest) { p.Value = []byte("2") }), true)
		s.equal("other flags", change(func(p *registry.PutRequest) { p.Value, p.Flags = []byte("2"), 6 }), true)
		s.equal("another lease", change(func(p *registry.PutRequest) { p.Value, p.Flags, p.Lease = []byte("2"), 6, lease }), true)
		s.equal("that lease", change(func(p *registry.PutRequest) { p.Value, p.Flags, p.Lease = []byte("2"), 6, lease }), false)
		s.equal("all kept", change(func(p *registry.PutRequest) { p.KeepValue, p.KeepLease, p.KeepFlags = true, true, true }), false)
		s.equal("a lock taken", change(func(p *registry.PutRequest) {
			p.KeepValue, p.KeepLease, p.KeepFlags, p.Lock, p.Holder = true, true, true, registry.LockAcquire, lease
		}), true)
		s.equal("a lock held", change(func(p *registry.PutRequest) {
			p.KeepValue, p.KeepLease, p.KeepFlags, p.Lock, p.Holder = true, true, true, registry.LockAcquire, lease
		}), false)
		s.equal("Version", s.mustGet("a").Version, int64(5))
		s.revisionIs(registry.SpaceKV, 6)
	}},
	{"a put without a lease detaches the key", func(s *subject) {
		lease := s.grant(registry.NoTTL)
		s.putAs(registry.PutRequest{Key: "a", Lease: lease})
		s.put("a", "1")
		s.revoke(lease)
		s.holds("a=1")
	}},
}

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
