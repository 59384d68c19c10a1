package dnsserver

import (
	"testing"

	"pgregory.net/rapid"
)

// TestPlaces compares with a map, through reuse, around the size at which the
// form changes.
func TestPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p places[int]
		var s seen[int]
		for range 3 {
			p.reset()
			s.reset()
			model := map[int]int{}
			for n, k := range rapid.SliceOfN(rapid.IntRange(0, 2*placesSmall), 0, 6*placesSmall).Draw(t, "keys") {
				want, known := model[k]
				if !known {
					want, model[k] = n, n
				}
				if at, was := p.of(k, n); at != want || was != known {
					t.Fatalf("%d is at %d, and known: %v; want %d, %v", k, at, was, want, known)
				}
				if s.add(k) == known {
					t.Fatalf("adding %d says %v", k, known)
				}
			}
		}
	})
}
