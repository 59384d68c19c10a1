package storetest

import (
	"fmt"

	"herald/registry"
)

// compareCases are compares, on each field and operator.
var compareCases = []testCase{
	{"every field and operator", func(s *subject) {
		lease := s.grant(registry.NoTTL)
		s.put("other", "")
		s.putAs(registry.PutRequest{Key: "a", Value: []byte("m")})
		s.putAs(registry.PutRequest{Key: "a", Value: []byte("m"), Lease: lease, Flags: 5, Lock: registry.LockAcquire, Holder: lease})
		// Of "a": created at 3, written at 4, version 2, lock count 1.
		type operands struct {
			field               string
			below, equal, above registry.Compare
		}
		number := func(field string, t registry.CompareTarget, v int64) operands {
			at := func(v int64) registry.Compare { return registry.Compare{Target: t, Int: v, Uint: uint64(v)} }
			return operands{field, at(v - 1), at(v), at(v + 1)}
		}
		value := func(v string) registry.Compare {
			return registry.Compare{Target: registry.CompareValue, Bytes: []byte(v)}
		}
		for _, f := range []operands{
			number("version", registry.CompareVersion, 2),
			number("create", registry.CompareCreate, 3),
			number("mod", registry.CompareMod, 4),
			number("lease", registry.CompareLease, int64(lease)),
			number("flags", registry.CompareFlags, 5),
			number("lock holder", registry.CompareLockHolder, int64(lease)),
			number("lock count", registry.CompareLockCount, 1),
			{"value", value("lz"), value("m"), value("m\x00")},
		} {
			for _, tt := range []struct {
				operand                    string
				c                          registry.Compare
				isEqual, isGreater, isLess bool
			}{
				{"an operand below", f.below, false, true, false},
				{"an equal operand", f.equal, true, false, false},
				{"an operand above", f.above, false, false, true},
			} {
				for result, want := range []bool{registry.Equal: tt.isEqual, registry.NotEqual: !tt.isEqual, registry.Greater: tt.isGreater, registry.Less: tt.isLess} {
					c := tt.c
					c.KeyRange = registry.One("a")
					c.Result = registry.CompareResult(result)
					s.compares(fmt.Sprintf("%s, %s, operator %d", f.field, tt.operand, result), want, c)
				}
			}
		}
	}},
	{"a key that does not exist", func(s *subject) {
		none := registry.One("none")
		s.compares("create is 0", true, registry.Compare{KeyRange: none, Target: registry.CompareCreate})
		s.compares("version is 0", true, registry.Compare{KeyRange: none, Target: registry.CompareVersion})
		s.compares("mod is above 0", false, registry.Compare{KeyRange: none, Target: registry.CompareMod, Result: registry.Greater})
		s.compares("flags are 0", true, registry.Compare{KeyRange: none, Target: registry.CompareFlags})
		s.compares("lock is free", true, registry.Compare{KeyRange: none, Target: registry.CompareLockHolder})
		for result := registry.Equal; result <= registry.Less; result++ {
			s.compares(fmt.Sprintf("value, operator %d", result), false, registry.Compare{KeyRange: none, Target: registry.CompareValue, Result: result})
		}
	}},
	{"a range", func(s *subject) {
		s.put("p/a", "1")
		s.put("p/b", "1")
		s.put("p/b", "2")
		p := registry.Prefix("p/")
		s.compares("every key satisfies it", true, registry.Compare{KeyRange: p, Target: registry.CompareVersion, Result: registry.Greater})
		s.compares("one does not", false, registry.Compare{KeyRange: p, Target: registry.CompareVersion, Int: 1})
		s.compares("an empty range is one key of zeros", true, registry.Compare{KeyRange: registry.Prefix("q/"), Target: registry.CompareCreate})
		s.compares("which is not above 0", false, registry.Compare{KeyRange: registry.Prefix("q/"), Target: registry.CompareCreate, Result: registry.Greater})
	}},
	{"another space", func(s *subject) {
		s.putAs(registry.PutRequest{Space: registry.SpaceSession, Key: "a", Value: []byte("x")})
		exists := registry.Compare{KeyRange: registry.One("a"), Target: registry.CompareVersion, Result: registry.Greater}
		s.compares("of the kv space", false, exists)
		exists.Space = registry.SpaceSession
		s.compares("of the session space", true, exists)
	}},
}

// compares checks whether a compare holds, in a transaction that reads, in one that
// writes, and as a requirement.
func (s *subject) compares(what string, want bool, c registry.Compare) {
	s.Helper()
	s.equal(what+", in a read", s.txn(registry.Txn{Compare: []registry.Compare{c}}).Succeeded, want)
	writes := registry.Txn{
		Compare: []registry.Compare{c},
		Then:    []registry.Op{op(registry.DeleteRequest{KeyRange: registry.One("never there")})},
	}
	s.equal(what+", in a write", s.txn(writes).Succeeded, want)
	_, err := s.Txn(s.ctx, registry.Txn{Then: []registry.Op{op(c)}})
	if want {
		s.isError(what+", required", err, nil)
	} else {
		s.isError(what+", required", err, registry.ErrRequire)
	}
}
