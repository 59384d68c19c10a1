package cow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// entry is like a record of the state machine: the key lies in memory of its own.
type entry struct {
	key string
	rev int64
	_   [3]int64
}

func (e *entry) Key() string { return e.key }

// usualKeys are kinds of keys in use, by number.
var usualKeys = []struct {
	name string
	key  func(i int) string
}{
	{"k", func(i int) string { return fmt.Sprintf("k-%06d", i) }},
	{"pods", func(i int) string {
		return fmt.Sprintf("/registry/pods/namespace-%d/deployment-%x", i/100, uint64(i)*0x9e3779b97f4a7c15)
	}},
}

// hardKeys are keys that share prefixes, are prefixes of one another, differ in zero
// bytes only, or behind a digest's end.
func hardKeys() *rapid.Generator[string] {
	some := func(alphabet ...string) *rapid.Generator[string] {
		return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 6), func(parts []string) string {
			return strings.Join(parts, "")
		})
	}
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(0, 400), func(n int) string { return fmt.Sprintf("%03d", n) }),
		rapid.Map(rapid.IntRange(0, 400), func(n int) string { return fmt.Sprintf("/registry/pods/a/name-%d", n) }),
		some("\x00", "a", "\xff"),
		some("\x00\x00\x00\x00", "aaaaaaa", "\xff"),
		some("/registry/", "pods/", "0", "1"),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 12), func(b []byte) string { return string(b) }),
	)
}

// TestSetModel writes at random to a set and to a plain map, copies now and then,
// writes to copies, too, and checks every copy at the end.
func TestSetModel(t *testing.T) {
	type pair struct {
		s     *Set[*entry]
		plain map[string]*entry
	}
	rapid.Check(t, func(t *rapid.T) {
		at := pair{new(Set[*entry]), map[string]*entry{}}
		pairs := []pair{at}
		keys := hardKeys()
		if rapid.Bool().Draw(t, "one kind") {
			keys = rapid.Map(rapid.IntRange(0, 2000), func(n int) string { return fmt.Sprintf("key-%04d", n) })
		}
		for i := range rapid.IntRange(0, 20).Draw(t, "turns") {
			switch rapid.IntRange(0, 5).Draw(t, "turn") {
			case 0, 1: // many at once
				for range rapid.IntRange(0, 300).Draw(t, "puts") {
					modelSet(t, at.s, at.plain, &entry{key: keys.Draw(t, "key"), rev: int64(i)})
				}
			case 2: // in order
				prefix := keys.Draw(t, "prefix")
				for n := range rapid.IntRange(0, 1500).Draw(t, "in order") {
					modelSet(t, at.s, at.plain, &entry{key: fmt.Sprintf("%s%05d", prefix, n), rev: int64(i)})
				}
			case 3:
				for range rapid.IntRange(0, 50).Draw(t, "deletions") {
					modelDelete(t, at.s, at.plain, keys.Draw(t, "key"))
				}
			case 4: // a stretch, from either end, perhaps all
				have := slices.Sorted(maps.Keys(at.plain))
				from := rapid.IntRange(0, len(have)).Draw(t, "from")
				have = have[from:rapid.IntRange(from, len(have)).Draw(t, "to")]
				if rapid.Bool().Draw(t, "backward") {
					slices.Reverse(have)
				}
				for _, k := range have {
					modelDelete(t, at.s, at.plain, k)
				}
			case 5:
				if len(pairs) < 10 {
					pairs = append(pairs, pair{at.s.Copy(), maps.Clone(at.plain)})
				}
				at = rapid.SampledFrom(pairs).Draw(t, "goes on with")
			}
		}
		for _, p := range pairs {
			checkSet(t, p.s, p.plain, keys.Draw(t, "pivot"), keys.Draw(t, "pivot"))
		}
	})
}

func modelSet(t rapid.TB, s *Set[*entry], plain map[string]*entry, e *entry) {
	prev, had := s.Set(e)
	if was, ok := plain[e.key]; had != ok || prev != was {
		t.Fatalf("Set(%q) replaced %v %v, want %v", e.key, prev, had, was)
	}
	plain[e.key] = e
}

func modelDelete(t rapid.TB, s *Set[*entry], plain map[string]*entry, key string) {
	prev, had := s.Delete(key)
	if was, ok := plain[key]; had != ok || prev != was {
		t.Fatalf("Delete(%q) removed %v %v, want %v", key, prev, had, was)
	}
	delete(plain, key)
}

// checkSet compares everything that a reader may ask for.
func checkSet(t rapid.TB, s *Set[*entry], plain map[string]*entry, pivots ...string) {
	checkInvariants(t, s)
	keys := slices.Sorted(maps.Keys(plain))
	if s.Len() != len(keys) {
		t.Fatalf("%d items, want %d", s.Len(), len(keys))
	}
	for i, k := range keys {
		if e, ok := s.Get(k); e != plain[k] || !ok {
			t.Fatalf("Get(%q): %v %v, want %v", k, e, ok, plain[k])
		}
		if at := s.Rank(k); at != i {
			t.Fatalf("Rank(%q): %d, want %d", k, at, i)
		}
	}
	if i := len(keys) / 2; len(keys) > 0 {
		pivots = append(pivots, keys[i], keys[i]+"\x00", keys[i][:len(keys[i])/2])
	}
	for _, from := range append(pivots, "", "\xff\xff\xff") {
		i, found := slices.BinarySearch(keys, from)
		if e, ok := s.Get(from); e != plain[from] || ok != found {
			t.Fatalf("Get(%q): %v %v, want %v", from, e, ok, plain[from])
		}
		if at := s.Rank(from); at != i {
			t.Fatalf("Rank(%q): %d, want %d", from, at, i)
		}
		if got := walk(from, s.Ascend); !slices.Equal(got, keys[i:]) {
			t.Fatalf("up from %q: %q, want %q", from, got, keys[i:])
		}
		below := slices.Clone(keys[:i])
		slices.Reverse(below)
		if got := walk(from, s.Descend); !slices.Equal(got, below) {
			t.Fatalf("down from %q: %q, want %q", from, got, below)
		}
		var got []string
		for it := s.Seek(from); it.Valid(); it.Next() {
			got = append(got, it.Item().key)
		}
		if !slices.Equal(got, keys[i:]) {
			t.Fatalf("on from %q: %q, want %q", from, got, keys[i:])
		}
		for _, to := range pivots {
			j, _ := slices.BinarySearch(keys, to)
			got := walk(from, func(from string, yield func(*entry) bool) { s.Between(from, to, yield) })
			if want := keys[i:max(i, j)]; !slices.Equal(got, want) {
				t.Fatalf("from %q to %q: %q, want %q", from, to, got, want)
			}
		}
	}
	backward := slices.Clone(keys)
	slices.Reverse(backward)
	if got := walk("", func(_ string, yield func(*entry) bool) { s.Reverse(yield) }); !slices.Equal(got, backward) {
		t.Fatalf("backward: %q, want %q", got, backward)
	}
	checkStops(t, s)
}

func walk(from string, by func(string, func(*entry) bool)) (keys []string) {
	by(from, func(e *entry) bool {
		keys = append(keys, e.key)
		return true
	})
	return keys
}

// checkStops has each walk stop at its third item.
func checkStops(t rapid.TB, s *Set[*entry]) {
	want := min(3, s.Len())
	for name, by := range map[string]func(func(*entry) bool){
		"Ascend":  func(yield func(*entry) bool) { s.Ascend("", yield) },
		"Between": func(yield func(*entry) bool) { s.Between("", strings.Repeat("\xff", 100), yield) },
		"Descend": func(yield func(*entry) bool) { s.Descend(strings.Repeat("\xff", 100), yield) },
		"Reverse": s.Reverse,
	} {
		n := 0
		by(func(*entry) bool { n++; return n < 3 })
		if n != want {
			t.Fatalf("%s went on to item %d, want %d", name, n, want)
		}
	}
}

// FuzzSet takes operations from bytes: what to do, and a key of up to seven of the
// bytes that follow, behind one of a few prefixes.
func FuzzSet(f *testing.F) {
	f.Add([]byte("0a0b0c1a2"))
	f.Add([]byte("\x07\x00\x00\x00\x00\x00\x00\x00\x0f\x00\x00\x00\x00\x00\x00\x00\x01\xff"))
	f.Add([]byte(strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz", 30)))
	prefixes := []string{"", "\x00", "/registry/pods/", "/registry/pods/\x00\x00\x00\x00\x00\x00\x00\x00"}
	f.Fuzz(func(t *testing.T, ops []byte) {
		s, plain := new(Set[*entry]), map[string]*entry{}
		var old *Set[*entry]
		var oldPlain map[string]*entry
		for i := 0; len(ops) > 0; i++ {
			op := ops[0]
			n := min(int(op&7), len(ops)-1)
			key := prefixes[op>>3&3] + string(ops[1:1+n])
			ops = ops[1+n:]
			switch op >> 5 {
			case 0, 1, 2, 3:
				modelSet(t, s, plain, &entry{key: key})
			case 4:
				for j := range 40 {
					modelSet(t, s, plain, &entry{key: key + string(rune('0'+j))})
				}
			case 5, 6:
				modelDelete(t, s, plain, key)
			default:
				for k := range plain {
					if strings.HasPrefix(k, key) {
						modelDelete(t, s, plain, k)
					}
				}
				if i%2 == 0 {
					old, oldPlain = s.Copy(), maps.Clone(plain)
				}
			}
		}
		checkSet(t, s, plain, "/registry/pods/", "a")
		if old != nil {
			checkSet(t, old, oldPlain, "/registry/pods/", "a")
		}
	})
}

// TestDigestsOrderAsStringsDo is what a search in a node relies on.
func TestDigestsOrderAsStringsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := hardKeys().Draw(t, "a"), hardKeys().Draw(t, "b")
		if da, db := digest(a), digest(b); da != db && (da < db) != (a < b) {
			t.Fatalf("%q has %x, %q has %x", a, da, b, db)
		}
		n := common(a, b)
		if a[:n] != b[:n] || n < min(len(a), len(b)) && a[n] == b[n] {
			t.Fatalf("%q and %q share %d bytes", a, b, n)
		}
		wider := []uint64{digest(b)}
		if widen(wider, a); wider[0] != digest(a+b) {
			t.Fatalf("%q in front of %q makes %x, want %x", a, b, wider[0], digest(a+b))
		}
		if a < b {
			if sep := separator(a, b); sep <= a || sep > b {
				t.Fatalf("%q does not lie between %q and %q", sep, a, b)
			}
		}
	})
}
