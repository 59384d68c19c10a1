package check

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"
)

// order checks that what began after something else was over comes after it in the order of
// revisions too. That holds over all keys at once, which the search for a linearization of
// each group of registers cannot see.
func (e *evidence) order() Verdict {
	v := Verdict{Of: "operations at known revisions", Checked: len(e.points)}
	past := newWatermark(e.points)
	for i := range e.points {
		p := &e.points[i]
		before := past.before(p.call)
		switch {
		case before == nil:
		case p.write && p.rev <= before.rev:
			v.add(violation(fmt.Sprintf("a write took effect at revision %d, and one that was over before it began at revision %d", p.rev, before.rev), before.rec, p.rec))
		case p.rev < before.rev:
			v.add(violation(fmt.Sprintf("a linearizable read saw revision %d, and before it began an operation at revision %d was over", p.rev, before.rev), before.rec, p.rec))
		}
	}
	return v
}

// watermark tells the highest revision of all operations that were over at a time.
type watermark struct {
	points []point // by when they were over; each stands for the highest up to it
}

func newWatermark(points []point) watermark {
	w := watermark{slices.Clone(points)}
	slices.SortFunc(w.points, func(a, b point) int { return cmp.Compare(a.ret, b.ret) })
	for i := 1; i < len(w.points); i++ {
		if w.points[i].rev < w.points[i-1].rev {
			at := w.points[i].ret
			w.points[i] = w.points[i-1]
			w.points[i].ret = at
		}
	}
	return w
}

// above is the first to be over of the operations with a revision above rev; nil if there was none.
func (w watermark) above(rev int64) *point {
	i := sort.Search(len(w.points), func(i int) bool { return w.points[i].rev > rev })
	if i == len(w.points) {
		return nil
	}
	return &w.points[i]
}

// before is the operation with the highest revision of those that were over before t; nil if
// there was none.
func (w watermark) before(t time.Duration) *point {
	i, _ := slices.BinarySearchFunc(w.points, t, func(p point, t time.Duration) int { return cmp.Compare(p.ret, t) })
	if i == 0 {
		return nil
	}
	return &w.points[i-1]
}
