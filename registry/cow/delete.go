package cow

// Delete takes the item with a key out, and returns it, if there is one.
func (s *Set[V]) Delete(key string) (prev V, deleted bool) {
	// Looked up first: a miss must not copy the path to where the key would be.
	if prev, deleted = s.Get(key); !deleted {
		return prev, false
	}
	var p path
	l := s.descend(key, &p)
	i, _ := l.find(key)
	l.remove(i)
	s.len--
	for h := range s.height {
		p.branch[h+1].count[p.at[h+1]]--
	}
	if l.n < leafMin && s.height > 0 {
		s.rebalance(&p)
	}
	if s.len == 0 {
		s.root = nil
	}
	return prev, true
}

// rebalance deals with a leaf that has become too small, and with the branches above
// that do so because of it.
func (s *Set[V]) rebalance(p *path) {
	for h := 1; h <= s.height; h++ {
		b := p.branch[h]
		left := max(p.at[h]-1, 0) // of the two children to even out
		s.ownSeparators(b)
		if h == 1 {
			s.evenLeaves(b, left)
		} else {
			s.evenBranches(b, left)
		}
		if b.n >= branchMin {
			return
		}
	}
	if root := (*branch)(s.root); root.n == 1 {
		s.root = root.kids[0]
		s.height--
	}
}

// evenLeaves makes one of the children i and i+1 of b if that has room, or else two
// of about the same size. So does evenBranches.
func (s *Set[V]) evenLeaves(b *branch, i int) {
	left, right := s.ownLeaf(&b.kids[i]), s.ownLeaf(&b.kids[i+1])
	merged := left.even(right)
	b.count[i], b.count[i+1] = left.n, right.n
	if merged {
		b.remove(i + 1)
		return
	}
	b.seps.replace(i, separator(left.item[left.n-1].Key(), right.item[0].Key()))
}

func (s *Set[V]) evenBranches(b *branch, i int) {
	left, right := s.ownBranch(&b.kids[i]), s.ownBranch(&b.kids[i+1])
	s.ownSeparators(left)
	c := join(left, b.seps.key[i], right)
	if len(c.kids) <= branchMax {
		left.fill(c)
		b.count[i] = left.items()
		b.remove(i + 1)
		return
	}
	s.ownSeparators(right)
	l, sep, r := c.cut(len(c.kids) / 2)
	left.fill(l)
	right.fill(r)
	b.count[i], b.count[i+1] = left.items(), right.items()
	b.seps.replace(i, sep)
}
