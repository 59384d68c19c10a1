// Package cow holds the ordered copy-on-write maps that Herald's immutable
// views are made of. It is the one place that knows which library they are from.
//
// A map has one writer. Copy takes constant time and gives an independent map:
// the two share what neither has changed since. Copy must be called by the
// writer; a copy that nobody writes to may be read by any number of goroutines.
// Methods whose name ends in Mut copy what they visit; readers must not call them.
package cow

import "github.com/tidwall/btree"

// Map is an ordered map. The zero Map is empty and ready.
type Map[K ordered, V any] = btree.Map[K, V]

// Tree is an ordered set of values under an order of their own.
type Tree[T any] = btree.BTreeG[T]

// TreeIter walks a Tree. Release it when done.
type TreeIter[T any] = btree.IterG[T]

type ordered interface {
	~int | ~int64 | ~uint64 | ~string
}

// degree makes nodes of 11 to 23 items. The library's 32 searches and scans a
// little faster and packs a little denser; but a write after a copy copies every
// node on its way, and at 32 that was most of what a put cost.
const degree = 12

// NewMap returns an empty map for keys that are copied often. The zero Map has
// larger nodes, which suits maps that are not.
func NewMap[K ordered, V any]() *Map[K, V] { return btree.NewMap[K, V](degree) }

// NewTree returns an empty set ordered by less, without a lock of its own.
func NewTree[T any](less func(a, b T) bool) *Tree[T] {
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true, Degree: degree})
}
