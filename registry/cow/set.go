package cow

import (
	"sync/atomic"
	"unsafe"
)

// Keyed is what has a key that never changes.
type Keyed interface {
	Key() string
}

// Set is an ordered set of items with different keys: a B+tree, made for many writes
// to a few places between two copies. The zero Set is empty and ready. It holds
// up to 1<<32-1 items.
//
// It keeps no key apart from its items: as long as an item is in the set, its key is
// read through it.
type Set[V Keyed] struct {
	root   unsafe.Pointer // *leaf[V] if height is 0, or else *branch; nil if empty
	height int
	len    int
	owner  uint64         // of the nodes that may be written
	owners *atomic.Uint64 // the last owner, of this set and its copies; nil before the first copy
}

// maxHeight is more levels of branches than there can be.
const maxHeight = 16

// path leads to a leaf: at each height above it, the branch and which child.
type path struct {
	branch [maxHeight + 1]*branch
	at     [maxHeight + 1]int
}

// Len is how many items there are.
func (s *Set[V]) Len() int { return s.len }

// Copy returns an independent set of the same items, in constant time.
func (s *Set[V]) Copy() *Set[V] {
	if s.owners == nil {
		s.owners = new(atomic.Uint64)
	}
	c := *s
	s.owner, c.owner = s.owners.Add(1), s.owners.Add(1)
	return &c
}

// Get returns the item with a key.
func (s *Set[V]) Get(key string) (V, bool) {
	if s.root != nil {
		l := s.leafOf(key)
		if i, ok := l.find(key); ok {
			return l.item[i], true
		}
	}
	var none V
	return none, false
}

// leafOf is the leaf that key would be in. The set is not empty.
func (s *Set[V]) leafOf(key string) *leaf[V] {
	p := s.root
	for range s.height {
		b := (*branch)(p)
		p = b.kids[b.seps.route(key)]
	}
	return (*leaf[V])(p)
}

// Rank is how many items have lower keys than key.
func (s *Set[V]) Rank(key string) int {
	if s.root == nil {
		return 0
	}
	rank := 0
	p := s.root
	for range s.height {
		b := (*branch)(p)
		i := b.seps.route(key)
		for _, c := range b.count[:i] {
			rank += int(c)
		}
		p = b.kids[i]
	}
	i, _ := (*leaf[V])(p).find(key)
	return rank + i
}

// Set puts v in, and returns the item with the same key that it replaced, if any.
func (s *Set[V]) Set(v V) (prev V, replaced bool) {
	key := v.Key()
	if s.root == nil {
		s.root = unsafe.Pointer(&leaf[V]{owner: s.owner})
	}
	var p path
	l := s.descend(key, &p)
	i, found := l.find(key)
	if found {
		prev, l.item[i] = l.item[i], v
		return prev, true
	}
	s.len++
	for h := range s.height {
		p.branch[h+1].count[p.at[h+1]]++
	}
	if l.n < leafMax {
		l.insert(i, key, v)
	} else {
		s.insertSplitting(&p, l, i, key, v)
	}
	return prev, false
}

// descend is leafOf for writing: the nodes on the way become the set's own.
func (s *Set[V]) descend(key string, p *path) *leaf[V] {
	slot := &s.root
	for h := s.height; h > 0; h-- {
		b := s.ownBranch(slot)
		i := b.seps.route(key)
		p.branch[h], p.at[h] = b, i
		slot = &b.kids[i]
	}
	return s.ownLeaf(slot)
}

func (s *Set[V]) ownLeaf(slot *unsafe.Pointer) *leaf[V] {
	l := (*leaf[V])(*slot)
	if l.owner != s.owner {
		c := new(leaf[V])
		*c = *l
		c.owner = s.owner
		l, *slot = c, unsafe.Pointer(c)
	}
	return l
}

func (s *Set[V]) ownBranch(slot *unsafe.Pointer) *branch {
	b := (*branch)(*slot)
	if b.owner != s.owner {
		c := new(branch)
		*c = *b
		c.owner = s.owner
		b, *slot = c, unsafe.Pointer(c)
	}
	return b
}

// ownSeparators has an own branch have separators of its own, too.
func (s *Set[V]) ownSeparators(b *branch) {
	if b.seps.owner != s.owner {
		c := new(separators)
		*c = *b.seps
		c.owner = s.owner
		b.seps = c
	}
}

func (s *Set[V]) newBranch() *branch {
	return &branch{owner: s.owner, seps: &separators{owner: s.owner}}
}

// insertSplitting makes two leaves of a full one, to insert v at position i of it, and
// two of each full branch above that needs room for one more.
//
// What is put behind everything else begins a new node, so that keys that come in
// order, as from a snapshot, fill the nodes.
func (s *Set[V]) insertSplitting(p *path, l *leaf[V], i int, key string, v V) {
	last := i == leafMax
	for h := range s.height {
		last = last && p.at[h+1] == p.branch[h+1].n-1
	}
	at := leafMax / 2
	if last {
		at = leafMax
	}
	rl := s.splitLeaf(l, at)
	if i <= at && !last {
		l.insert(i, key, v)
	} else {
		rl.insert(i-at, key, v)
	}
	sep := separator(l.item[l.n-1].Key(), rl.item[0].Key())
	right, nLeft, nRight := unsafe.Pointer(rl), l.n, rl.n

	for h := 1; h <= s.height; h++ {
		b, j := p.branch[h], p.at[h]
		s.ownSeparators(b)
		b.count[j] = nLeft
		if b.n < branchMax {
			b.insert(j+1, sep, right, nRight)
			return
		}
		at := branchMax / 2
		if last {
			at = branchMax - 1
		}
		rb, between := s.splitBranch(b, at)
		if j < at {
			b.insert(j+1, sep, right, nRight)
		} else {
			rb.insert(j-at+1, sep, right, nRight)
		}
		sep, right, nLeft, nRight = between, unsafe.Pointer(rb), b.items(), rb.items()
	}
	root := s.newBranch()
	root.fill(children{[]unsafe.Pointer{s.root, right}, []uint32{nLeft, nRight}, []string{sep}})
	s.root = unsafe.Pointer(root)
	s.height++
}

// splitBranch moves the children from position at on to a new branch, and returns what
// lies between the two.
func (s *Set[V]) splitBranch(b *branch, at int) (right *branch, sep string) {
	right = s.newBranch()
	right.fill(children{b.kids[at:b.n], b.count[at:b.n], b.seps.key[at:b.seps.n]})
	sep = b.seps.key[at-1]
	clear(b.kids[at:])
	b.n = at
	var keys [branchMax]string
	b.seps.fill(keys[:copy(keys[:], b.seps.key[:at-1])])
	return right, sep
}
