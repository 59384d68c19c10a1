package cow

// Iter is a place in a set that nobody writes to meanwhile. It is made by Seek.
type Iter[V Keyed] struct {
	path   path
	height int
	leaf   *leaf[V] // nil past the end
	i      int
}

// Seek is the place of the first item whose key is not lower than key.
func (s *Set[V]) Seek(key string) Iter[V] {
	it := Iter[V]{height: s.height}
	if s.root == nil {
		return it
	}
	it.leaf, it.i = s.place(key, &it.path)
	if it.i == int(it.leaf.n) {
		it.nextLeaf()
	}
	return it
}

// place is where key is, or where it would be, which may be behind the items of its
// leaf. The set is not empty.
func (s *Set[V]) place(key string, to *path) (*leaf[V], int) {
	p := s.root
	for h := s.height; h > 0; h-- {
		b := (*branch)(p)
		i := b.seps.route(key)
		to.branch[h], to.at[h] = b, i
		p = b.kids[i]
	}
	l := (*leaf[V])(p)
	i, _ := l.find(key)
	return l, i
}

// Valid says that there is an item at the place.
func (it *Iter[V]) Valid() bool { return it.leaf != nil }

// Item is the item at the place.
func (it *Iter[V]) Item() V { return it.leaf.item[it.i] }

// Next goes on to the next item.
func (it *Iter[V]) Next() {
	if it.i++; it.i == int(it.leaf.n) {
		it.nextLeaf()
	}
}

func (it *Iter[V]) nextLeaf() {
	it.leaf, it.i = nil, 0
	for h := 1; h <= it.height; h++ {
		b := it.path.branch[h]
		if it.path.at[h]+1 == b.n {
			continue
		}
		it.path.at[h]++
		for {
			p := b.kids[it.path.at[h]]
			if h--; h == 0 {
				it.leaf = (*leaf[V])(p)
				return
			}
			b = (*branch)(p)
			it.path.branch[h], it.path.at[h] = b, 0
		}
	}
}

func (it *Iter[V]) prevLeaf() {
	it.leaf, it.i = nil, 0
	for h := 1; h <= it.height; h++ {
		b := it.path.branch[h]
		if it.path.at[h] == 0 {
			continue
		}
		it.path.at[h]--
		for {
			p := b.kids[it.path.at[h]]
			if h--; h == 0 {
				it.leaf = (*leaf[V])(p)
				it.i = int(it.leaf.n)
				return
			}
			b = (*branch)(p)
			it.path.branch[h], it.path.at[h] = b, b.n-1
		}
	}
}

// Ascend yields the items from the key from on, in order.
func (s *Set[V]) Ascend(from string, yield func(V) bool) { s.ascend(from, "", false, yield) }

// Between yields the items from the key from on to the key to, without it, in order.
func (s *Set[V]) Between(from, to string, yield func(V) bool) { s.ascend(from, to, true, yield) }

func (s *Set[V]) ascend(from, to string, bounded bool, yield func(V) bool) {
	for it := s.Seek(from); it.leaf != nil; it.nextLeaf() {
		l, n := it.leaf, int(it.leaf.n)
		last := bounded && l.item[n-1].Key() >= to
		if last {
			n, _ = l.find(to)
		}
		for i := it.i; i < n; i++ {
			if !yield(l.item[i]) {
				return
			}
		}
		if last {
			return
		}
	}
}

// Descend yields the items with keys lower than below, in reverse order.
func (s *Set[V]) Descend(below string, yield func(V) bool) {
	it := Iter[V]{height: s.height}
	if s.root == nil {
		return
	}
	it.leaf, it.i = s.place(below, &it.path)
	it.descend(yield)
}

// Reverse yields all items in reverse order.
func (s *Set[V]) Reverse(yield func(V) bool) {
	it := Iter[V]{height: s.height}
	if s.root == nil {
		return
	}
	p := s.root
	for h := s.height; h > 0; h-- {
		b := (*branch)(p)
		it.path.branch[h], it.path.at[h] = b, b.n-1
		p = b.kids[b.n-1]
	}
	it.leaf = (*leaf[V])(p)
	it.i = int(it.leaf.n)
	it.descend(yield)
}

// descend yields the items in front of the place.
func (it *Iter[V]) descend(yield func(V) bool) {
	for ; it.leaf != nil; it.prevLeaf() {
		for i := it.i - 1; i >= 0; i-- {
			if !yield(it.leaf.item[i]) {
				return
			}
		}
	}
}
