package storetest

import "herald/registry"

// limitCases are the bounds of what a store accepts.
var limitCases = []testCase{
	{"size of a write", func(s *subject) {
		limit := DefaultMaxRequestBytes
		if l, ok := s.Store.(interface{ MaxRequestBytes() int }); ok {
			limit = l.MaxRequestBytes()
		}
		fits, over := make([]byte, limit-limit/16), make([]byte, limit+1)
		s.putAs(registry.PutRequest{Key: "fits", Value: fits})
		s.equal("its size", len(s.mustGet("fits").Value), len(fits))
		s.fails(registry.ErrTooLarge, op(registry.PutRequest{Key: "over", Value: over}))
		half := limit/2 + 1
		s.fails(registry.ErrTooLarge,
			op(registry.PutRequest{Key: "half", Value: over[:half]}),
			op(registry.PutRequest{Key: "other half", Value: over[:half]}))
		s.fails(registry.ErrTooLarge, putOp(string(over), ""))
		s.revisionIs(registry.SpaceKV, 2)
		s.put("after", "1")
	}},
	{"many operations", func(s *subject) {
		const n = 2000
		ops := make([]registry.Op, n)
		for i := range ops {
			ops[i] = putOp(string([]rune{rune('a' + i%26), rune('A' + i/26)}), "v")
		}
		s.do(ops...)
		s.equal("Count", s.read(registry.RangeRequest{KeyRange: registry.All(), CountOnly: true}).Count, int64(n))
		s.equal("Deleted", s.del(registry.All()).Deleted, int64(n))
		s.revisionIs(registry.SpaceKV, 3)
	}},
}
