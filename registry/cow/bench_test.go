//go:build unix

package cow

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
)

// benched is what the benchmarks use of a Set, and of a Map in its place.
type benched interface {
	set(e *entry)
	get(key string) *entry
	delete(key string)
	scan(from string, n int) int
	copy()
}

type benchedSet struct{ s Set[*entry] }

func (b *benchedSet) set(e *entry)          { b.s.Set(e) }
func (b *benchedSet) get(key string) *entry { e, _ := b.s.Get(key); return e }
func (b *benchedSet) delete(key string)     { b.s.Delete(key) }
func (b *benchedSet) copy()                 { b.s.Copy() }
func (b *benchedSet) scan(from string, n int) (sum int) {
	b.s.Ascend(from, func(e *entry) bool {
		sum += int(e.rev)
		n--
		return n > 0
	})
	return sum
}

type benchedMap struct{ m *Map[string, *entry] }

func (b *benchedMap) set(e *entry)          { b.m.Set(e.key, e) }
func (b *benchedMap) get(key string) *entry { e, _ := b.m.Get(key); return e }
func (b *benchedMap) delete(key string)     { b.m.Delete(key) }
func (b *benchedMap) copy()                 { b.m.Copy() }
func (b *benchedMap) scan(from string, n int) (sum int) {
	b.m.Ascend(from, func(_ string, e *entry) bool {
		sum += int(e.rev)
		n--
		return n > 0
	})
	return sum
}

// eachTree runs a benchmark for both kinds of tree, both kinds of key, and numbers
// of them. keys are in order of insertion, which is random.
func eachTree(b *testing.B, sizes []int, f func(b *testing.B, t benched, keys []string)) {
	for _, n := range sizes {
		for _, k := range usualKeys {
			for _, tree := range []string{"map", "set"} {
				b.Run(fmt.Sprintf("keys=%s/n=%d/tree=%s", k.name, n, tree), func(b *testing.B) {
					keys := make([]string, n)
					for i, j := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
						keys[i] = k.key(j)
					}
					f(b, newBenched(tree), keys)
				})
			}
		}
	}
}

func newBenched(tree string) benched {
	if tree == "set" {
		return new(benchedSet)
	}
	return &benchedMap{NewMap[string, *entry]()}
}

func newEntry(key string, i int) *entry { return &entry{key: string([]byte(key)), rev: int64(i)} }

func load(t benched, keys []string) {
	for i, k := range keys {
		t.set(newEntry(k, i))
	}
}

// BenchmarkReplace is what the state machine does: items take the place of those
// with the same key, and after each 50 the tree is copied.
func BenchmarkReplace(b *testing.B) {
	eachTree(b, []int{10_000, 1_000_000}, func(b *testing.B, t benched, keys []string) {
		load(t, keys)
		// The same items go in that are there, so that only the tree is measured.
		at := rand.New(rand.NewPCG(3, 4)).Perm(len(keys))
		entries := make([]*entry, len(keys))
		for i, j := range at {
			entries[i] = newEntry(keys[j], i)
		}
		measure(b)
		for i := range b.N {
			t.set(entries[i%len(entries)])
			if i%50 == 49 {
				t.copy()
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	eachTree(b, []int{10_000, 1_000_000}, func(b *testing.B, t benched, keys []string) {
		load(t, keys)
		at := rand.New(rand.NewPCG(3, 4)).Perm(len(keys))
		measure(b)
		for i := range b.N {
			if t.get(keys[at[i%len(at)]]) == nil {
				b.Fatal("a key is missing")
			}
		}
	})
}

func BenchmarkScan100(b *testing.B) {
	eachTree(b, []int{10_000, 1_000_000}, func(b *testing.B, t benched, keys []string) {
		load(t, keys)
		at := rand.New(rand.NewPCG(3, 4)).Perm(len(keys))
		measure(b)
		for i := range b.N {
			t.scan(keys[at[i%len(at)]], 100)
		}
	})
}

// BenchmarkInsert puts in keys that are new, in order or not.
func BenchmarkInsert(b *testing.B) {
	for _, order := range []string{"sequential", "random"} {
		b.Run("order="+order, func(b *testing.B) {
			eachTree(b, []int{100_000}, func(b *testing.B, t benched, keys []string) {
				entries := make([]*entry, len(keys))
				for i := range keys {
					entries[i] = newEntry(keys[i], i)
					if order == "sequential" {
						entries[i].key = fmt.Sprintf("%s%08d", keys[0], i)
					}
				}
				measure(b)
				for i := range b.N {
					if i%len(entries) == 0 {
						switch of := t.(type) {
						case *benchedSet:
							of.s = Set[*entry]{}
						case *benchedMap:
							of.m = NewMap[string, *entry]()
						}
					}
					t.set(entries[i%len(entries)])
					if i%50 == 49 {
						t.copy()
					}
				}
			})
		})
	}
}

// BenchmarkDelete takes a key out and puts it in again.
func BenchmarkDelete(b *testing.B) {
	eachTree(b, []int{10_000, 1_000_000}, func(b *testing.B, t benched, keys []string) {
		load(t, keys)
		entries := make([]*entry, len(keys))
		for i, j := range rand.New(rand.NewPCG(3, 4)).Perm(len(keys)) {
			entries[i] = newEntry(keys[j], i)
		}
		measure(b)
		for i := range b.N {
			e := entries[i%len(entries)]
			t.delete(e.key)
			t.set(e)
			if i%25 == 24 {
				t.copy()
			}
		}
	})
}

// BenchmarkBytes is what a tree takes for each key, apart from the items.
func BenchmarkBytes(b *testing.B) {
	for _, order := range []string{"sequential", "random"} {
		b.Run("order="+order, func(b *testing.B) {
			eachTree(b, []int{1_000_000}, func(b *testing.B, _ benched, keys []string) {
				entries := make([]*entry, len(keys))
				for i := range keys {
					entries[i] = newEntry(keys[i], i)
					if order == "sequential" {
						entries[i].key = fmt.Sprintf("%s%08d", keys[0], i)
					}
				}
				tree := b.Name()[len(b.Name())-3:]
				for b.Loop() {
					var before, after runtime.MemStats
					runtime.GC()
					runtime.ReadMemStats(&before)
					t := newBenched(tree)
					for _, e := range entries {
						t.set(e)
					}
					runtime.GC()
					runtime.ReadMemStats(&after)
					b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(keys)), "B/key")
					runtime.KeepAlive(t)
				}
			})
		})
	}
}

// measure starts the benchmark proper. What it reports next to the time is what the
// processors spent, the garbage collector included, which says something on a busy
// machine, too.
func measure(b *testing.B) {
	b.ReportAllocs()
	start := cpu(b)
	b.Cleanup(func() { b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op") })
	b.ResetTimer()
}

func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
