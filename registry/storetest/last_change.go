package storetest

import "herald/registry"

// lastChangeCases are the revision at which a range last changed.
var lastChangeCases = []testCase{
	{"puts and deletes raise it, others do not", func(s *subject) {
		last := func(keys registry.KeyRange) int64 {
			s.Helper()
			return s.read(registry.RangeRequest{KeyRange: keys, WithLastChange: true, CountOnly: true}).LastChange
		}
		one, prefix := registry.One("p/a"), registry.Prefix("p/")
		s.equal("of an empty store", last(prefix), int64(0))
		s.put("p/a", "1")
		s.equal("after a put", last(prefix), int64(2))
		s.put("q", "1")
		s.equal("after another key's", last(prefix), int64(2))
		s.put("p/b", "1")
		s.equal("after a second put", last(prefix), int64(4))
		s.equal("of the first key alone", last(one), int64(2))
		s.del(registry.One("p/a"))
		s.equal("after a delete", last(prefix), int64(5))
		s.equal("of a deleted key", last(one), int64(5))
		s.del(registry.Prefix("p/"))
		s.equal("with all deleted", last(prefix), int64(6))
		s.put("q", "2")
		s.compact(registry.SpaceKV, 7)
		s.equal("after compaction", last(prefix), int64(6))
		s.equal("of the deleted key, after compaction", last(one), int64(5))
		s.equal("of all", last(registry.All()), int64(7))
		s.equal("of what never was", last(registry.Prefix("r")), int64(0))
		s.put("p/a", "2")
		s.equal("of a key that lives again", last(one), int64(8))
	}},
	{"a lease's end raises it", func(s *subject) {
		lease := s.grant(registry.NoTTL)
		s.putAs(registry.PutRequest{Key: "a", Lease: lease})
		s.revoke(lease)
		s.equal("LastChange", s.read(registry.RangeRequest{KeyRange: registry.One("a"), WithLastChange: true}).LastChange, int64(3))
	}},
}
