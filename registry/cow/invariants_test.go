package cow

import (
	"unsafe"

	"pgregory.net/rapid"
)

// checkInvariants walks a whole set and checks what the code relies on in each node.
func checkInvariants(t rapid.TB, s *Set[*entry]) {
	if s.root == nil {
		if s.len != 0 || s.height != 0 {
			t.Fatalf("an empty set of %d items, %d high", s.len, s.height)
		}
		return
	}
	if n := checkNode(t, s.root, s.height, "", nil, true); n != s.len {
		t.Fatalf("%d items are there, and said are %d", n, s.len)
	}
}

// checkNode checks a node the keys of which are at least low and, if high is given,
// below that. last says that it is the last one of its level, which may be small.
func checkNode(t rapid.TB, p unsafe.Pointer, height int, low string, high *string, last bool) int {
	if height == 0 {
		return checkLeaf(t, (*leaf[*entry])(p), low, high, last)
	}
	b := (*branch)(p)
	if b.n < 2 || b.n > branchMax || int(b.seps.n) != b.n-1 || b.n < branchMin && !last {
		t.Fatalf("a branch with %d children and %d separators", b.n, b.seps.n)
	}
	for i := b.n; i < branchMax; i++ {
		if b.kids[i] != nil || b.seps.key[i-1] != "" {
			t.Fatalf("a branch of %d children keeps another", b.n)
		}
	}
	checkDigests(t, b.seps.key[:b.seps.n], b.seps.prefix, b.seps.digest[:], low, high)
	n := 0
	for i := range b.n {
		from, to := low, high
		if i > 0 {
			from = b.seps.key[i-1]
		}
		if i < b.n-1 {
			to = &b.seps.key[i]
		}
		below := checkNode(t, b.kids[i], height-1, from, to, last && i == b.n-1)
		if below != int(b.count[i]) {
			t.Fatalf("child %d has %d items, and said are %d", i, below, b.count[i])
		}
		n += below
	}
	return n
}

func checkLeaf(t rapid.TB, l *leaf[*entry], low string, high *string, last bool) int {
	if l.n == 0 || l.n > leafMax || l.n < leafMin && !last {
		t.Fatalf("a leaf of %d items", l.n)
	}
	var keys []string
	for _, e := range l.item[:l.n] {
		keys = append(keys, e.key)
	}
	for _, e := range l.item[l.n:] {
		if e != nil {
			t.Fatalf("a leaf of %d items keeps %q", l.n, e.key)
		}
	}
	checkDigests(t, keys, l.prefix, l.digest[:], low, high)
	return len(keys)
}

// checkDigests checks the order of keys and what is said of them.
func checkDigests(t rapid.TB, keys []string, prefix uint32, digests []uint64, low string, high *string) {
	for i, k := range keys {
		if k < low || high != nil && k >= *high || i > 0 && k <= keys[i-1] {
			t.Fatalf("%q is out of order: %q, from %q", k, keys, low)
		}
		if len(k) < int(prefix) || k[:prefix] != keys[0][:prefix] || digests[i] != digest(k[prefix:]) {
			t.Fatalf("%q is said to have prefix %q and digest %x", k, keys[0][:prefix], digests[i])
		}
	}
}
