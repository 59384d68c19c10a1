package catalog

import (
	"fmt"
	"sync"
	"testing"
)

func TestDerived(t *testing.T) {
	var s Service
	a, b := new(int), new(int)
	if got := s.Derived(a); got != nil {
		t.Errorf("at first: %v", got)
	}
	if got := s.Derive(a, "of a"); got != "of a" {
		t.Errorf("kept: %v", got)
	}
	if got := s.Derive(a, "another"); got != "of a" {
		t.Errorf("kept twice: %v", got)
	}
	if got := s.Derived(b); got != nil {
		t.Errorf("b has what a kept: %v", got)
	}
	s.Derive(b, "of b")
	if s.Derived(a) != "of a" || s.Derived(b) != "of b" {
		t.Errorf("a has %v, b %v", s.Derived(a), s.Derived(b))
	}
	if n := testing.AllocsPerRun(100, func() { s.Derived(b) }); n != 0 {
		t.Errorf("looking it up allocates %v times", n)
	}
}

// TestDerivedAtOnce: of values that are kept at the same time, all see the same one.
func TestDerivedAtOnce(t *testing.T) {
	for range 50 {
		var s Service
		var all sync.WaitGroup
		got := make([]any, 16)
		readers := []*int{new(int), new(int)}
		for i := range got {
			all.Go(func() { got[i] = s.Derive(readers[i%2], fmt.Sprint(i)) })
		}
		all.Wait()
		for i := range got {
			if got[i] != s.Derived(readers[i%2]) || got[i] != got[i%2] {
				t.Fatalf("%d has %v, and %v is kept", i, got[i], s.Derived(readers[i%2]))
			}
		}
	}
}
