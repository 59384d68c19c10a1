package cow

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// The promises that views are built on are the library's as to Map and Tree; these
// tests hold it to them. Those of Set are tested in set_test.go.

// TestMapModel writes at random to a map and to a plain one, copies now and then, and
// checks every copy at the end.
func TestMapModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := new(Map[string, int])
		if rapid.Bool().Draw(t, "small nodes") {
			m = NewMap[string, int]()
		}
		plain := map[string]int{}
		type copied struct {
			m     *Map[string, int]
			plain map[string]int
		}
		var copies []copied
		key := rapid.Map(rapid.IntRange(0, 300), func(n int) string { return fmt.Sprintf("%03d", n) })
		for i := range rapid.IntRange(0, 1500).Draw(t, "writes") {
			k := key.Draw(t, "key")
			switch rapid.IntRange(0, 9).Draw(t, "write") {
			case 0, 1, 2, 3, 4, 5:
				prev, had := m.Set(k, i)
				if was, ok := plain[k]; had != ok || prev != was {
					t.Fatalf("Set(%s) replaced %d %v, want %d %v", k, prev, had, was, ok)
				}
				plain[k] = i
			case 6, 7, 8:
				prev, had := m.Delete(k)
				if was, ok := plain[k]; had != ok || prev != was {
					t.Fatalf("Delete(%s) removed %d %v, want %d %v", k, prev, had, was, ok)
				}
				delete(plain, k)
			default:
				if len(copies) < 20 {
					copies = append(copies, copied{m.Copy(), maps.Clone(plain)})
				}
			}
		}
		copies = append(copies, copied{m, plain})
		for _, c := range copies {
			checkMap(t, c.m, c.plain)
		}
	})
}

func checkMap(t *rapid.T, m *Map[string, int], plain map[string]int) {
	keys := slices.Sorted(maps.Keys(plain))
	if m.Len() != len(keys) {
		t.Fatalf("%d keys, want %d", m.Len(), len(keys))
	}
	if got := m.Keys(); !slices.Equal(got, keys) {
		t.Fatalf("keys %v, want %v", got, keys)
	}
	for i, k := range keys {
		if at, v, ok := m.GetAt(i); at != k || v != plain[k] || !ok {
			t.Fatalf("position %d: %s=%d %v, want %s=%d", i, at, v, ok, k, plain[k])
		}
		if v, ok := m.Get(k); v != plain[k] || !ok {
			t.Fatalf("%s=%d %v, want %d", k, v, ok, plain[k])
		}
	}
	pivot := rapid.SampledFrom([]string{"", "000", "1005", "150", "2", "300", "9"}).Draw(t, "pivot")
	i, _ := slices.BinarySearch(keys, pivot)
	var up []string
	m.Ascend(pivot, func(k string, _ int) bool {
		up = append(up, k)
		return true
	})
	if !slices.Equal(up, keys[i:]) {
		t.Fatalf("up from %s: %v, want %v", pivot, up, keys[i:])
	}
	var walked []string
	it := m.Iter()
	for ok := it.Seek(pivot); ok; ok = it.Next() {
		walked = append(walked, it.Key())
	}
	if !slices.Equal(walked, keys[i:]) {
		t.Fatalf("walked from %s: %v, want %v", pivot, walked, keys[i:])
	}
	var down []string
	m.Descend(pivot, func(k string, _ int) bool {
		down = append(down, k)
		return true
	})
	below := slices.Clone(keys[:i])
	if i < len(keys) && keys[i] == pivot {
		below = append(below, pivot)
	}
	slices.Reverse(below)
	if !slices.Equal(down, below) {
		t.Fatalf("down from %s: %v, want %v", pivot, down, below)
	}
}

// TestTreeModel does the same for a tree with an order of its own, and for taking
// the least.
func TestTreeModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := NewTree(func(a, b int) bool { return a > b })
		plain := map[int]bool{}
		var copies []*Tree[int]
		var want [][]int
		for range rapid.IntRange(0, 1500).Draw(t, "writes") {
			n := rapid.IntRange(0, 300).Draw(t, "item")
			switch rapid.IntRange(0, 10).Draw(t, "write") {
			case 0, 1, 2, 3, 4, 5:
				tree.Set(n)
				plain[n] = true
			case 6, 7:
				if _, had := tree.Delete(n); had != plain[n] {
					t.Fatalf("Delete(%d): %v, want %v", n, had, plain[n])
				}
				delete(plain, n)
			case 8:
				if n, ok := tree.PopMin(); ok {
					if largest := slices.Max(slices.Collect(maps.Keys(plain))); n != largest {
						t.Fatalf("PopMin: %d, want %d", n, largest)
					}
					delete(plain, n)
				} else if len(plain) > 0 {
					t.Fatal("PopMin found nothing")
				}
			default:
				if len(copies) < 20 {
					copies, want = append(copies, tree.Copy()), append(want, descending(plain))
				}
			}
		}
		copies, want = append(copies, tree), append(want, descending(plain))
		for i, c := range copies {
			if got := c.Items(); !slices.Equal(got, want[i]) {
				t.Fatalf("items %v, want %v", got, want[i])
			}
			pivot := rapid.IntRange(-1, 301).Draw(t, "pivot")
			j, _ := slices.BinarySearchFunc(want[i], pivot, func(a, b int) int { return b - a })
			var walked []int
			it := c.Iter()
			for ok := it.Seek(pivot); ok; ok = it.Next() {
				walked = append(walked, it.Item())
			}
			it.Release()
			if !slices.Equal(walked, want[i][j:]) {
				t.Fatalf("walked from %d: %v, want %v", pivot, walked, want[i][j:])
			}
		}
	})
}

func descending(m map[int]bool) []int {
	return slices.SortedFunc(maps.Keys(m), func(a, b int) int { return b - a })
}

// TestCopiesAreReadWhileTheMapIsWritten is for the race detector: everything a
// reader may call, beside a writer.
func TestCopiesAreReadWhileTheMapIsWritten(t *testing.T) {
	var m Map[string, int]
	var set Set[*entry]
	tree := NewTree(func(a, b int) bool { return a < b })
	type view struct {
		m    *Map[string, int]
		set  *Set[*entry]
		tree *Tree[int]
		n    int
	}
	views := make(chan view)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for v := range views {
				for range 3 {
					n, i := 0, 0
					v.m.Scan(func(string, int) bool { n++; return true })
					it := v.m.Iter()
					for ok := it.Seek("05"); ok; ok = it.Next() {
						i++
					}
					v.m.GetAt(v.n / 2)
					v.m.Get("0500")
					v.m.Reverse(func(string, int) bool { return true })
					if n != v.n || len(v.tree.Items()) != v.n || v.m.Len() != v.n {
						t.Errorf("a copy of %d has %d and %d", v.n, n, v.tree.Len())
					}
					v.tree.Descend(500, func(int) bool { return true })
					up, down := 0, 0
					v.set.Ascend("", func(*entry) bool { up++; return true })
					v.set.Reverse(func(*entry) bool { down++; return true })
					v.set.Get("0500")
					v.set.Seek("0500")
					if up != v.n || down != v.n || v.set.Rank("z") != v.n || v.set.Len() != v.n {
						t.Errorf("a copy of a set of %d has %d up and %d down", v.n, up, down)
					}
				}
			}
		})
	}
	n := 0
	for i := range 6000 {
		k := i * 7919 % 1000
		if _, had := m.Delete(fmt.Sprintf("%04d", k)); had {
			tree.Delete(k)
			set.Delete(fmt.Sprintf("%04d", k))
			n--
		} else {
			m.Set(fmt.Sprintf("%04d", k), i)
			tree.Set(k)
			set.Set(&entry{key: fmt.Sprintf("%04d", k)})
			n++
		}
		if i%30 == 0 {
			views <- view{m.Copy(), set.Copy(), tree.Copy(), n}
		}
	}
	close(views)
	wg.Wait()
}

// BenchmarkSet is what a write costs when the map was just copied, as after every
// publication, and when it was not.
func BenchmarkSet(b *testing.B) {
	for _, every := range []int{1, 64} {
		b.Run(fmt.Sprintf("copied every %d", every), func(b *testing.B) {
			m := NewMap[string, int]()
			keys := make([]string, 100_000)
			for i := range keys {
				keys[i] = fmt.Sprintf("%08d", i*7919%len(keys))
				m.Set(keys[i], i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				m.Set(keys[i*31%len(keys)], i)
				if i%every == 0 {
					m.Copy()
				}
			}
		})
	}
}
