package dnsserver

import "math/rand/v2"

// order draws the units of a plan one after the other: each time, every unit that is left is as
// likely as its share of what is left; the preferred units before all others.
//
// The shares stand in a tree of partial sums (Fenwick), of which an order has a copy and takes
// out what was drawn: n units of which k are drawn cost a copy of n numbers
// and k times log n steps.
type order struct {
	plan  *plan
	group int // of plan.trees
	first int // the group's first unit
	tree  []uint64
	left  int    // units
	total uint64 // of their shares
}

// newTree makes the tree of some units' shares: the element at i, from 1, is the sum of the
// i&-i shares that end there. The first element, which no sum is at, has the sum of all.
func newTree(units []unit) []uint64 {
	if len(units) == 0 {
		return nil
	}
	tree := make([]uint64, len(units)+1)
	for i := range units {
		tree[0] += units[i].share
		at := i + 1
		tree[at] += units[i].share
		if up := at + at&-at; up < len(tree) {
			tree[up] += tree[at]
		}
	}
	return tree
}

// begin starts a new order of the units of p.
func (o *order) begin(p *plan) {
	o.plan, o.group, o.first = p, 0, 0
	o.load()
}

func (o *order) load() {
	o.tree = append(o.tree[:0], o.plan.trees[o.group]...)
	o.left, o.total = len(o.tree)-1, 0
	if o.left > 0 {
		o.total = o.tree[0]
	}
}

// next is the unit that comes next, or false if all have been drawn.
func (o *order) next(random *rand.Rand) (*unit, bool) {
	if o.left <= 0 {
		if o.group == len(o.plan.trees)-1 {
			return nil, false
		}
		o.group, o.first = o.group+1, o.plan.preferred
		if o.load(); o.left <= 0 {
			return nil, false
		}
	}
	at := 0
	if len(o.tree) > 2 {
		at = o.find(random.Uint64N(o.total))
	}
	u := &o.plan.units[o.first+at]
	o.left--
	o.total -= u.share
	for i := at + 1; i < len(o.tree); i += i & -i {
		o.tree[i] -= u.share
	}
	return u, true
}

// find is the unit that the sum of the shares reaches past n with.
func (o *order) find(n uint64) int {
	at, size := 0, len(o.tree)
	step := 1
	for step<<1 < size {
		step <<= 1
	}
	for ; step > 0; step >>= 1 {
		if to := at + step; to < size && o.tree[to] <= n {
			at = to
			n -= o.tree[to]
		}
	}
	return at
}
