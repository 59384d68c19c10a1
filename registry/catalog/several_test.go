package catalog

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSeveralFindWhatEachIs: many looked for together are what each is that is looked for by itself.
func TestSeveralFindWhatEachIs(t *testing.T) {
	var s Several
	rapid.Check(t, func(t *rapid.T) {
		var edit tableEdit
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 200), 0, 200).Draw(t, "services") {
			edit.set(&Service{key: fmt.Sprint("s", n)})
		}
		x := &Index{byName: edit.table}
		for range 2 { // a Several can be used again
			var names []string
			var want []*Service
			for _, n := range rapid.SliceOfN(rapid.IntRange(0, 400), 0, 100).Draw(t, "wanted") {
				name := fmt.Sprint(rapid.SampledFrom([]string{"s", "S"}).Draw(t, "case"), n)
				names = append(names, name)
				want = append(want, x.Service(name))
			}
			if got := s.Find(x, names); !slices.Equal(got, want) {
				t.Fatalf("%v are found, want %v", got, want)
			}
		}
	})
}

// TestSeveralWithEqualHashes: two names whose hashes are equal are told apart.
func TestSeveralWithEqualHashes(t *testing.T) {
	b := &Service{key: "b"}
	hash := tableHash("b")
	root, branch := tablePlace(hash)
	table := table{root: &tableRoot{}}
	table.root[root] = &tableBranch{}
	table.root[root][branch] = []tableEntry{{hash, &Service{key: "a"}}, {hash, b}}
	x := &Index{byName: table}
	var s Several
	if got := s.Find(x, []string{"b"}); len(got) != 1 || got[0] != b {
		t.Errorf("found %+v", got)
	}
}

func TestSeveralAllocateNothing(t *testing.T) {
	var edit tableEdit
	edit.set(&Service{key: "web"})
	x := &Index{byName: edit.table}
	var s Several
	names := slices.Repeat([]string{"web", "none"}, 64)
	if n := testing.AllocsPerRun(100, func() { s.Find(x, names) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
