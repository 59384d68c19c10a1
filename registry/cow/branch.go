package cow

import (
	"strings"
	"unsafe"
)

// branchMax is how many children a branch has room for.
const branchMax = 32

// branchMin is how many children a branch has left before it looks for company. The
// last branch of a level may have fewer, but never less than two.
const branchMin = branchMax / 4

// branch is an inner node. Its children are leaves or branches, which follows from how
// high it is. What a write changes each time, and so has to be copied after
// a copy, is apart from what changes only with the number of children.
type branch struct {
	owner uint64
	n     int
	seps  *separators
	kids  [branchMax]unsafe.Pointer
	count [branchMax]uint32 // items below each child
}

// separators lie between the children of a branch: keys below child i are lower than
// separator i, and those below child i+1 are not. They are as short as that allows, and
// memory of their own: an item's key must not be kept alive after the item.
type separators struct {
	owner  uint64
	n      uint32
	prefix uint32
	digest [branchMax - 1]uint64
	key    [branchMax - 1]string
}

// route is the child that key is below, if anywhere: how many separators are not
// higher than key.
func (s *separators) route(key string) int {
	n, prefix := int(s.n), int(s.prefix)
	if prefix > 0 {
		switch beside(key, s.key[0][:prefix]) {
		case -1:
			return 0
		case 1:
			return n
		}
	}
	lo, hi := candidates(s.digest[:n], digest(key[prefix:]))
	for lo < hi {
		h := (lo + hi) / 2
		if strings.Compare(s.key[h], key) <= 0 {
			lo = h + 1
		} else {
			hi = h
		}
	}
	return lo
}

// fill makes keys the separators.
func (s *separators) fill(keys []string) {
	clear(s.key[copy(s.key[:], keys):])
	s.n, s.prefix = uint32(len(keys)), 0
	if len(keys) == 0 {
		return
	}
	p := common(keys[0], keys[len(keys)-1])
	s.prefix = uint32(p)
	for i, k := range keys {
		s.digest[i] = digest(k[p:])
	}
}

// insert puts key at position i.
func (s *separators) insert(i int, key string) {
	n := int(s.n)
	if n == 0 {
		s.prefix = uint32(len(key))
	} else if i == 0 || i == n {
		s.prefix = uint32(narrow(s.digest[:n], int(s.prefix), s.key[0], key))
	}
	copy(s.key[i+1:n+1], s.key[i:n])
	copy(s.digest[i+1:n+1], s.digest[i:n])
	s.key[i], s.digest[i] = key, digest(key[s.prefix:])
	s.n++
}

// remove takes out the separator at position i.
func (s *separators) remove(i int) {
	n := int(s.n) - 1
	copy(s.key[i:n], s.key[i+1:n+1])
	copy(s.digest[i:n], s.digest[i+1:n+1])
	s.key[n] = ""
	s.n--
}

// replace changes the separator at position i.
func (s *separators) replace(i int, key string) {
	s.remove(i)
	s.insert(i, key)
}

// separator is the shortest string that is higher than left and not higher than
// right, in memory of its own.
func separator(left, right string) string {
	return strings.Clone(right[:common(left, right)+1])
}

// items is how many items lie below the branch.
func (b *branch) items() uint32 {
	var n uint32
	for _, c := range b.count[:b.n] {
		n += c
	}
	return n
}

// insert puts a child, which lies from sep on, at position i of a branch that has
// room. i is not 0.
func (b *branch) insert(i int, sep string, kid unsafe.Pointer, count uint32) {
	copy(b.kids[i+1:b.n+1], b.kids[i:b.n])
	copy(b.count[i+1:b.n+1], b.count[i:b.n])
	b.kids[i], b.count[i] = kid, count
	b.n++
	b.seps.insert(i-1, sep)
}

// remove takes out the child at position i, which is not 0.
func (b *branch) remove(i int) {
	b.n--
	copy(b.kids[i:b.n], b.kids[i+1:b.n+1])
	copy(b.count[i:b.n], b.count[i+1:b.n+1])
	b.kids[b.n] = nil
	b.seps.remove(i - 1)
}

// children is a run of children with what lies between them.
type children struct {
	kids  []unsafe.Pointer
	count []uint32
	seps  []string
}

// fill makes c the branch's children.
func (b *branch) fill(c children) {
	clear(b.kids[copy(b.kids[:], c.kids):])
	copy(b.count[:], c.count)
	b.n = len(c.kids)
	b.seps.fill(c.seps)
}

// cut makes two runs of one, the right one beginning at position at, and says what
// lies between them.
func (c children) cut(at int) (left children, sep string, right children) {
	return children{c.kids[:at], c.count[:at], c.seps[:at-1]}, c.seps[at-1],
		children{c.kids[at:], c.count[at:], c.seps[at:]}
}

// join is a run of the children of left and right, with sep between.
func join(left *branch, sep string, right *branch) children {
	c := children{
		make([]unsafe.Pointer, 0, 2*branchMax), make([]uint32, 0, 2*branchMax), make([]string, 0, 2*branchMax),
	}
	c.kids = append(append(c.kids, left.kids[:left.n]...), right.kids[:right.n]...)
	c.count = append(append(c.count, left.count[:left.n]...), right.count[:right.n]...)
	c.seps = append(append(append(c.seps, left.seps.key[:left.seps.n]...), sep), right.seps.key[:right.seps.n]...)
	return c
}
