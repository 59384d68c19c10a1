package dnsserver

import "math/rand/v2"

// order draws the units of a plan one after the other: each time, every unit that is left is as
// likely as its share of what is left; the preferred units before all others.
//
// Where all shares are equal, as they mostly are, what is left is a list from which one is taken at
// random. Else the shares stand in a tree of partial sums (Fenwick), of which an order has a copy and takes
// out what was drawn: n units of which k are drawn cost a copy of n numbers
// and k times log n steps.
type order struct {
	plan  *plan
	group int // of plan.shares
	first int // the group's first unit
	left  int // units
	list  []uint32
	tree  []uint64
	total uint64 // of the shares in tree
}

// shares are those of a group of units.
type shares struct {
	size int
	// tree is nil where all shares are equal. The element at i, from 1, is the sum of the i&-i shares that end there;
	// the first, which no sum is at, that of all.
	tree []uint64
}

func newShares(units []unit) shares {
	s := shares{size: len(units)}
	equal := true
	for i := range units {
		equal = equal && units[i].share == units[0].share
	}
	if equal {
		return s
	}
	s.tree = make([]uint64, len(units)+1)
	for i := range units {
		s.tree[0] += units[i].share
		at := i + 1
		s.tree[at] += units[i].share
		if up := at + at&-at; up < len(s.tree) {
			s.tree[up] += s.tree[at]
		}
	}
	return s
}

// begin starts a new order of the units of p.
func (o *order) begin(p *plan) {
	o.plan, o.group, o.first = p, 0, 0
	o.load()
}

func (o *order) load() {
	s := &o.plan.shares[o.group]
	o.left = s.size
	if s.tree != nil {
		o.tree = append(o.tree[:0], s.tree...)
		o.total = o.tree[0]
		return
	}
	o.tree = o.tree[:0]
	o.list = append(o.list[:0], naturals[:min(s.size, len(naturals))]...)
	for i := len(o.list); i < s.size; i++ {
		o.list = append(o.list, uint32(i))
	}
}

// naturals are the numbers from 0, to be copied: most lists are that long at most.
var naturals = func() (n [8192]uint32) {
	for i := range n {
		n[i] = uint32(i)
	}
	return n
}()

// next is the unit that comes next, or false if all have been drawn.
func (o *order) next(random *rand.Rand) (*unit, bool) {
	if o.left == 0 {
		if o.group == len(o.plan.shares)-1 {
			return nil, false
		}
		o.group, o.first = o.group+1, o.plan.preferred
		if o.load(); o.left == 0 {
			return nil, false
		}
	}
	var at int
	if len(o.tree) > 0 {
		at = o.drawByShare(random)
	} else {
		at = o.drawAny(random)
	}
	o.left--
	return &o.plan.units[o.first+at], true
}

func (o *order) drawAny(random *rand.Rand) int {
	n := 0
	if o.left > 1 {
		n = int(random.Uint32N(uint32(o.left)))
	}
	at := o.list[n]
	o.list[n] = o.list[o.left-1]
	return int(at)
}

func (o *order) drawByShare(random *rand.Rand) int {
	at := o.find(random.Uint64N(o.total))
	share := o.plan.units[o.first+at].share
	o.total -= share
	for i := at + 1; i < len(o.tree); i += i & -i {
		o.tree[i] -= share
	}
	return at
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
