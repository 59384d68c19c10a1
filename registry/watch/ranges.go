package watch

import (
	"math/rand/v2"
	"strings"

	"herald/registry"
)

// unbounded as the end of a range means that it has none.
var unbounded = registry.All().End

// ranges finds the watched ranges that hold a key, in time that grows with the
// logarithm of how many ranges there are and with how many it finds. It is an
// interval tree: a search tree by start, then end, in which each node knows the
// highest end below it, kept balanced as a treap (random priorities in heap order).
type ranges struct {
	root *rangeNode
}

type rangeNode struct {
	spot
	priority    uint32
	highest     string // the highest end in this subtree
	left, right *rangeNode
}

// add returns the spot of a range, which it makes if there is none.
func (t *ranges) add(keys registry.KeyRange) *spot {
	if n := t.find(keys); n != nil {
		return &n.spot
	}
	n := &rangeNode{spot: spot{keys: keys}, priority: rand.Uint32(), highest: keys.End}
	t.root = insertNode(t.root, n)
	return &n.spot
}

// remove takes a range away.
func (t *ranges) remove(keys registry.KeyRange) {
	t.root = removeNode(t.root, keys)
}

func (t *ranges) find(keys registry.KeyRange) *rangeNode {
	n := t.root
	for n != nil {
		switch c := compareRanges(keys, n.keys); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n
		}
	}
	return nil
}

// touch calls x.touch for each range that holds key.
func (n *rangeNode) touch(x *index, key string, event int) {
	for n != nil && endsAbove(n.highest, key) {
		n.left.touch(x, key, event)
		if key < n.keys.Start {
			// So does everything to the right start above key.
			return
		}
		if endsAbove(n.keys.End, key) {
			x.touch(&n.spot, event)
		}
		n = n.right
	}
}

func insertNode(n, added *rangeNode) *rangeNode {
	if n == nil {
		return added
	}
	if compareRanges(added.keys, n.keys) < 0 {
		n.left = insertNode(n.left, added)
		if n.left.priority > n.priority {
			return rotateRight(n)
		}
	} else {
		n.right = insertNode(n.right, added)
		if n.right.priority > n.priority {
			return rotateLeft(n)
		}
	}
	n.update()
	return n
}

func removeNode(n *rangeNode, keys registry.KeyRange) *rangeNode {
	if n == nil {
		return nil
	}
	switch c := compareRanges(keys, n.keys); {
	case c < 0:
		n.left = removeNode(n.left, keys)
	case c > 0:
		n.right = removeNode(n.right, keys)
	default:
		return mergeNodes(n.left, n.right)
	}
	n.update()
	return n
}

// mergeNodes joins two subtrees of which a lies wholly before b.
func mergeNodes(a, b *rangeNode) *rangeNode {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		a.right = mergeNodes(a.right, b)
		a.update()
		return a
	default:
		b.left = mergeNodes(a, b.left)
		b.update()
		return b
	}
}

func rotateRight(n *rangeNode) *rangeNode {
	up := n.left
	n.left, up.right = up.right, n
	n.update()
	up.update()
	return up
}

func rotateLeft(n *rangeNode) *rangeNode {
	up := n.right
	n.right, up.left = up.left, n
	n.update()
	up.update()
	return up
}

// update works out highest from the node and its children.
func (n *rangeNode) update() {
	n.highest = n.keys.End
	for _, child := range [...]*rangeNode{n.left, n.right} {
		if child != nil && n.highest != unbounded && endsAbove(child.highest, n.highest) {
			n.highest = child.highest
		}
	}
}

// endsAbove reports whether the end of a range lies above key.
func endsAbove(end, key string) bool { return end == unbounded || key < end }

func compareRanges(a, b registry.KeyRange) int {
	if c := strings.Compare(a.Start, b.Start); c != 0 {
		return c
	}
	return strings.Compare(a.End, b.End)
}
