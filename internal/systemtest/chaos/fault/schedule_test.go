//go:build linux

package fault

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func drawn(seed uint64, n int) []string {
	r := &runner{rand: rand.New(rand.NewPCG(seed, 0)), kinds: Kinds}
	var names []string
	for range n {
		names = append(names, r.draw().Name)
	}
	return names
}

func TestEachKindComesBeforeAnyComesAgain(t *testing.T) {
	n := len(Kinds)
	names := drawn(7, 5*n)
	for round := range 5 {
		seen := map[string]bool{}
		for _, name := range names[round*n : (round+1)*n] {
			seen[name] = true
		}
		if len(seen) != n {
			t.Errorf("round %d has %d of %d kinds", round, len(seen), n)
		}
	}
	if slices.Equal(names[:n], names[n:2*n]) {
		t.Error("the second round is the first one again")
	}
}

func TestSeedDecidesWhatComes(t *testing.T) {
	if !slices.Equal(drawn(3, 40), drawn(3, 40)) {
		t.Error("one seed drew different faults")
	}
	if slices.Equal(drawn(3, 40), drawn(4, 40)) {
		t.Error("two seeds drew the same faults")
	}
}

func TestKindsAreNamedOnceAndBounded(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds {
		if k.Name == "" || seen[k.Name] || strings.Contains(k.Name, ",") {
			t.Errorf("a kind is named %q", k.Name)
		}
		seen[k.Name] = true
		if k.begin == nil || k.shortest < 0 || k.longest < k.shortest {
			t.Errorf("%s: begins with %v, lasts %v to %v", k.Name, k.begin != nil, k.shortest, k.longest)
		}
	}
}

func TestNamed(t *testing.T) {
	kinds, err := Named("kill", "flap")
	if err != nil || len(kinds) != 2 || kinds[0].Name != "kill" || kinds[1].Name != "flap" {
		t.Errorf("got %v, %v", kinds, err)
	}
	if _, err := Named("kill", "burn"); err == nil || !strings.Contains(err.Error(), `"burn"`) || !strings.Contains(err.Error(), "isolate") {
		t.Errorf("got %v", err)
	}
}

func TestBetween(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	lowest, highest := time.Hour, time.Duration(0)
	for range 10000 {
		d := between(r, 10*time.Millisecond, 20*time.Millisecond)
		lowest, highest = min(lowest, d), max(highest, d)
	}
	if lowest != 10*time.Millisecond || highest != 20*time.Millisecond {
		t.Errorf("drew from %v to %v", lowest, highest)
	}
	if d := between(r, time.Second, time.Second); d != time.Second {
		t.Errorf("between one second and one second lies %v", d)
	}
}
