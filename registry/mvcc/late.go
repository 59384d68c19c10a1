package mvcc

import "herald/registry"

// late are the ranges of one transaction that are read at an old revision. To search the history
// may mean to index a long stretch of it first, which must not hold up those who wait for
// the next command; and what the past was like decides nothing. So Apply only says
// whether that revision can be read, which every replica must agree on, and keeps what there is to
// read it from. Who answers the client reads it, on one server and beside the writer.
type late struct {
	view   *View
	ranges []lateRange
}

type lateRange struct {
	req registry.RangeRequest
	res *registry.RangeResult // of which Revision is set
}

// Complete reads what Apply left out of the result of a transaction: the ranges at an old
// revision, as they were then, whatever was applied since. It may take long, and need not
// be called if nobody wants to know. Any goroutine may call it, one at a time.
func (r *Result) Complete() {
	if r.late == nil {
		return
	}
	for i := range r.late.ranges {
		l := &r.late.ranges[i]
		r.late.view.spaces[l.req.Space].readAt(&l.req, l.res)
	}
	r.late = nil
}
