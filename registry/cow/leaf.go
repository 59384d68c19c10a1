package cow

import "strings"

// leafMax is how many items a leaf has room for. A write after a copy copies a leaf,
// which makes large ones dear; small ones take more memory for each item and make the
// tree higher. With pointers for items this is 512 bytes, a size that the allocator
// has, and the largest it keeps without a header.
const leafMax = 31

// leafMin is how many items a leaf has left before it looks for company. The last leaf
// may have fewer, since a new one is begun when it is full.
const leafMin = leafMax / 4

// leaf holds items in the order of their keys.
type leaf[V Keyed] struct {
	owner  uint64
	n      uint32
	prefix uint32 // how many bytes the keys are known to share
	digest [leafMax]uint64
	item   [leafMax]V
}

// find is where key is, or where it would be.
func (l *leaf[V]) find(key string) (int, bool) {
	n, prefix := int(l.n), int(l.prefix)
	lo := 0
	if len(key) >= prefix {
		var hi int
		lo, hi = candidates(l.digest[:n], digest(key[prefix:]))
		for lo < hi {
			h := (lo + hi) / 2
			switch c := strings.Compare(l.item[h].Key(), key); {
			case c == 0:
				return h, true
			case c < 0:
				lo = h + 1
			default:
				hi = h
			}
		}
	}
	// The digest says where key is only among keys with the prefix.
	if prefix > 0 {
		switch beside(key, l.item[0].Key()[:prefix]) {
		case -1:
			return 0, false
		case 1:
			return n, false
		}
	}
	return lo, false
}

// insert puts v at position i of a leaf that has room.
func (l *leaf[V]) insert(i int, key string, v V) {
	n := int(l.n)
	if n == 0 {
		l.prefix = uint32(len(key))
	} else if i == 0 || i == n {
		// Between two keys with the prefix there are only such.
		l.prefix = uint32(narrow(l.digest[:n], int(l.prefix), l.item[0].Key(), key))
	}
	copy(l.item[i+1:n+1], l.item[i:n])
	copy(l.digest[i+1:n+1], l.digest[i:n])
	l.item[i], l.digest[i] = v, digest(key[l.prefix:])
	l.n++
}

// remove takes out the item at position i.
func (l *leaf[V]) remove(i int) {
	n := int(l.n) - 1
	copy(l.item[i:n], l.item[i+1:n+1])
	copy(l.digest[i:n], l.digest[i+1:n+1])
	clear(l.item[n : n+1])
	l.n--
}

// fill makes items the leaf's own, and digests them.
func (l *leaf[V]) fill(items []V) {
	clear(l.item[copy(l.item[:], items):])
	l.n, l.prefix = uint32(len(items)), 0
	if len(items) == 0 {
		return
	}
	p := common(items[0].Key(), items[len(items)-1].Key())
	l.prefix = uint32(p)
	for i := range items {
		l.digest[i] = digest(items[i].Key()[p:])
	}
}

// splitLeaf moves what lies from position at on to a new leaf.
func (s *Set[V]) splitLeaf(l *leaf[V], at int) *leaf[V] {
	right := &leaf[V]{owner: s.owner}
	if at == int(l.n) {
		return right
	}
	right.fill(l.item[at:l.n])
	var left [leafMax]V
	l.fill(left[:copy(left[:], l.item[:at])])
	return right
}

// even takes over what its right neighbour has if there is room, or else makes
// both about the same size. It reports which.
func (l *leaf[V]) even(right *leaf[V]) (merged bool) {
	var all [2 * leafMax]V
	n := copy(all[:], l.item[:l.n])
	n += copy(all[n:], right.item[:right.n])
	if n <= leafMax {
		l.fill(all[:n])
		return true
	}
	l.fill(all[:n/2])
	right.fill(all[n/2 : n])
	return false
}
