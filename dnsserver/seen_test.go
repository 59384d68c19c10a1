package dnsserver

import (
	"testing"

	"pgregory.net/rapid"
)

// TestSeen compares the set with a map, through reuse, around the size at which
// it changes its form.
func TestSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s seen[int]
		for range 3 {
			s.reset()
			model := map[int]bool{}
			for _, k := range rapid.SliceOfN(rapid.IntRange(0, 2*seenSmall), 0, 6*seenSmall).Draw(t, "keys") {
				if got, want := s.add(k), !model[k]; got != want {
					t.Fatalf("adding %d says %v, want %v", k, got, want)
				}
				model[k] = true
			}
		}
	})
}
