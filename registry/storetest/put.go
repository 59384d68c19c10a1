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
