package watch

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"herald/registry"
)

// genKey makes short keys of few letters, so that ranges overlap and meet.
var genKey = rapid.StringOfN(rapid.SampledFrom([]rune{0, 'a', 'b', 'c'}), 1, 4, -1)

var genRange = rapid.Custom(func(t *rapid.T) registry.KeyRange {
	key := genKey.Draw(t, "start")
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return registry.One(key)
	case 1:
		return registry.Prefix(key)
	case 2:
		return registry.From(key)
	case 3:
		return registry.All()
	default:
		return registry.KeyRange{Start: key, End: genKey.Draw(t, "end")}
	}
})

// The index finds the watchers that asking each of them finds, whatever was added
// and removed before.
func TestIndexMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		var in []*watcher
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				w := &watcher{keys: genRange.Draw(t, "range"), filter: filter(rapid.IntRange(0, numFilters-1).Draw(t, "filter"))}
				x.add(w)
				in = append(in, w)
			},
			"remove": func(t *rapid.T) {
				if len(in) == 0 {
					t.Skip("nothing to remove")
				}
				i := rapid.IntRange(0, len(in)-1).Draw(t, "watcher")
				x.remove(in[i])
				x.remove(in[i])
				in = slices.Delete(in, i, i+1)
			},
			"": func(t *rapid.T) {
				keys := rapid.SliceOfDistinct(genKey, rapid.ID).Draw(t, "keys")
				slices.Sort(keys)
				events := make([]registry.Event, len(keys))
				for i, key := range keys {
					events[i].KV.Key = key
				}
				got := map[*watcher]string{}
				for _, s := range x.match(events) {
					for f := range s.groups {
						for _, w := range s.groups[f].watchers {
							if got[w] != "" || w.filter != filter(f) {
								t.Fatalf("%v is in two groups, or in one of another filter", w.keys)
							}
							got[w] = fmt.Sprint(keys[s.lo:s.hi])
						}
					}
				}
				x.release()
				for _, w := range in {
					var want []string
					for _, key := range keys {
						if w.keys.Contains(key) {
							want = append(want, key)
						}
					}
					if want == nil {
						if got[w] != "" {
							t.Fatalf("%+q matched %s of %q", w.keys, got[w], keys)
						}
					} else if got[w] != fmt.Sprint(want) {
						t.Fatalf("%+q matched %q of %q, want %q", w.keys, got[w], keys, want)
					}
					delete(got, w)
				}
				if len(got) > 0 {
					t.Fatalf("found %d watchers that were removed", len(got))
				}
				checkTree(t, x.ranges.root)
			},
		})
		for _, w := range in {
			x.remove(w)
		}
		if x.watchers != 0 || len(x.ones) != 0 || x.ranges.root != nil {
			t.Fatalf("an index without watchers holds %d, %d keys, ranges %v", x.watchers, len(x.ones), x.ranges.root)
		}
	})
}

// checkTree checks the order, the balance's heap order and the ends of a tree, and
// returns its ranges.
func checkTree(t *rapid.T, n *rangeNode) []registry.KeyRange {
	if n == nil {
		return nil
	}
	if n.empty() {
		t.Fatalf("%+q has no watchers", n.keys)
	}
	for _, child := range []*rangeNode{n.left, n.right} {
		if child != nil && child.priority > n.priority {
			t.Fatalf("%+q lies below a lower priority", child.keys)
		}
	}
	all := append(append(checkTree(t, n.left), n.keys), checkTree(t, n.right)...)
	if !slices.IsSortedFunc(all, compareRanges) {
		t.Fatalf("out of order: %+q", all)
	}
	highest := ""
	for _, r := range all {
		if r.Unbounded() || highest != unbounded && strings.Compare(r.End, highest) > 0 {
			highest = r.End
		}
	}
	if n.highest != highest {
		t.Fatalf("highest end below %+q: got %q, want %q", n.keys, n.highest, highest)
	}
	return all
}

// Ten thousand prefixes cost a lookup a path down the tree, not a visit each.
func TestRangesAreBalanced(t *testing.T) {
	var x index
	for i := range 10_000 {
		x.add(&watcher{keys: registry.Prefix(fmt.Sprintf("service/%08d/", i))})
	}
	var depth func(n *rangeNode) int
	depth = func(n *rangeNode) int {
		if n == nil {
			return 0
		}
		return 1 + max(depth(n.left), depth(n.right))
	}
	// A random treap of n nodes is about 3 log2 n deep: 40. Ten thousand would be a list.
	if d := depth(x.ranges.root); d > 80 {
		t.Errorf("a tree of 10,000 ranges is %d deep", d)
	}
}
