// Package cow holds the ordered copy-on-write collections that Herald's immutable
// views are made of. Set is our own, for the keys of the store: a search in
// it looks at few keys, and a write after a copy copies little. Map and Tree are a
// library's, and this is the one place that knows which. What is kept in them, and
// when a copy is made, is not known here; there are no goroutines.
//
// Each has one writer. Copy takes constant time and gives an independent one:
// the two share what neither has changed since. Copy must be called by the
// writer; a copy that nobody writes to may be read by any number of goroutines.
// Methods whose name ends in Mut copy what they visit; readers must not call them.
package cow

import (
	"unsafe"

	"github.com/tidwall/btree"
)

// Map is an ordered map. The zero Map is empty and ready.
type Map[K ordered, V any] = btree.Map[K, V]

// Tree is an ordered set of values under an order of their own.
type Tree[T any] = btree.BTreeG[T]

// TreeIter walks a Tree. Release it when done.
type TreeIter[T any] = btree.IterG[T]

type ordered interface {
	~int | ~int64 | ~uint64 | ~string
}

// nodeBytes is what the items of a full node take. A write after a copy copies every
// node on its way down: larger nodes make that dear, and were most of what a put
// cost; smaller ones make more of them, and deeper trees to search.
const nodeBytes = 576

// degreeFor is the degree that gives nodes of nodeBytes for items of a size; a node
// holds up to twice the degree.
func degreeFor(itemBytes uintptr) int {
	return min(max(nodeBytes/2/int(max(itemBytes, 1)), 8), 32)
}

// NewMap returns an empty map for keys that are copied often. The zero Map has
// larger nodes, which suits maps that are not.
func NewMap[K ordered, V any]() *Map[K, V] {
	var k K
	var v V
	return btree.NewMap[K, V](degreeFor(unsafe.Sizeof(k) + unsafe.Sizeof(v)))
}

// NewTree returns an empty set ordered by less, without a lock of its own.
func NewTree[T any](less func(a, b T) bool) *Tree[T] {
	var item T
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true, Degree: degreeFor(unsafe.Sizeof(item))})
}
