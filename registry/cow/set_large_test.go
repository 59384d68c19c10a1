package cow

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSetOfThreeLevels takes stretches out of sets so large that branches lie below
// branches, which TestSetModel rarely makes, until nothing is left.
func TestSetOfThreeLevels(t *testing.T) {
	for _, kind := range usualKeys {
		for seed := range uint64(2) {
			random := rand.New(rand.NewPCG(1, seed))
			s, plain := new(Set[*entry]), map[string]*entry{}
			order := random.Perm(20_000)
			if seed == 0 {
				slices.Sort(order)
			}
			for _, i := range order {
				modelSet(t, s, plain, &entry{key: kind.key(i)})
			}
			if s.height < 2 {
				t.Fatalf("a set of %d items is only %d high", s.Len(), s.height)
			}
			for s.Len() > 0 {
				before, plainBefore := s.Copy(), maps.Clone(plain)
				keys := slices.Sorted(maps.Keys(plain))
				stretch := keys[random.IntN(len(keys)):]
				for _, k := range stretch[:min(len(stretch), 2500)] {
					modelDelete(t, s, plain, k)
				}
				checkInvariants(t, s)
				checkInvariants(t, before)
				if before.Len() != len(plainBefore) {
					t.Fatalf("a copy has %d items, want %d", before.Len(), len(plainBefore))
				}
			}
		}
	}
}
