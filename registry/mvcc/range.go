package mvcc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"herald/registry"
)

// validateRange says what is wrong with a range request in itself.
func validateRange(r *registry.RangeRequest) error {
	switch {
	case !r.Space.Valid():
		return invalidSpace(r.Space)
	case r.SortTarget > registry.SortByValue:
		return fmt.Errorf("%w: unknown sort target %d", registry.ErrInvalid, r.SortTarget)
	case r.SortOrder > registry.SortDescend:
		return fmt.Errorf("%w: unknown sort order %d", registry.ErrInvalid, r.SortOrder)
	case r.WithLastChange && r.Revision > 0:
		return fmt.Errorf("%w: the last change of a range is not known at an old revision", registry.ErrInvalid)
	}
	return validateKeys(r.KeyRange)
}

func validateKeys(kr registry.KeyRange) error {
	if kr.IsOne() && kr.Start == "" {
		return registry.ErrEmptyKey
	}
	return nil
}

func invalidSpace(s registry.Space) error {
	return fmt.Errorf("%w: there is no %v", registry.ErrInvalid, s)
}

// readNow fills in the answer to a valid range request from the live keys.
func (s *space) readNow(r *registry.RangeRequest, res *registry.RangeResult) {
	if r.WithLastChange {
		res.LastChange = s.lastChange(r.KeyRange)
	}
	if r.IsOne() {
		s.readOne(r, res)
		return
	}
	p := picker{req: r, res: res}
	if p.sorts() && r.SortTarget == registry.SortByKey && r.SortOrder == registry.SortDescend {
		p.inOrder = true
		s.pickLive(&p, s.scanDown)
	} else {
		s.pickLive(&p, s.scan)
	}
	p.finish()
}

// readAt fills in the answer to a valid range request for a revision that can be read. No
// transaction may be under way.
func (s *space) readAt(r *registry.RangeRequest, res *registry.RangeResult) {
	p := picker{req: r, res: res}
	s.pickAt(&p)
	p.finish()
}

// readOne is read for one live key, which needs no picking.
func (s *space) readOne(q *registry.RangeRequest, res *registry.RangeResult) {
	r := s.get(q.Start)
	if r == nil {
		return
	}
	res.Count = 1
	if !q.CountOnly && passes(q, r) {
		res.KVs = []registry.KeyValue{view(q, r)}
	}
}

// pickLive feeds the live keys of the request's range to p, in the order that
// walk goes.
func (s *space) pickLive(p *picker, walk func(registry.KeyRange, func(*record) bool)) {
	if p.req.CountOnly {
		p.res.Count = s.count(p.req.KeyRange)
		return
	}
	// Past the limit only the count is missing. Counting on for a while is
	// cheaper than looking the bounds up, and going on forever is not.
	const countOn = 512
	beyond := 0
	stopped := false
	walk(p.req.KeyRange, func(r *record) bool {
		p.res.Count++
		if !p.full() {
			p.take(r)
			return true
		}
		p.more(r)
		beyond++
		stopped = p.res.More && (p.req.SkipCount || beyond > countOn)
		return !stopped
	})
	switch {
	case stopped && p.req.SkipCount:
		p.res.Count = 0
	case stopped:
		p.res.Count = s.count(p.req.KeyRange)
	}
}

// pickAt feeds the keys of the request's range as of its revision to p.
func (s *space) pickAt(p *picker) {
	stopped := false
	s.scanAt(p.req.KeyRange, p.req.Revision, func(r *record) bool {
		p.res.Count++
		switch {
		case p.req.CountOnly:
		case !p.full():
			p.take(r)
		default:
			p.more(r)
			stopped = p.res.More && p.req.SkipCount
		}
		return !stopped
	})
	if stopped {
		p.res.Count = 0
	}
}

// count is how many live keys lie in the range. It takes logarithmic time.
func (s *space) count(kr registry.KeyRange) int64 {
	switch {
	case kr.IsOne():
		if s.get(kr.Start) == nil {
			return 0
		}
		return 1
	case kr.Empty():
		return 0
	}
	end := s.keys.Len()
	if !kr.Unbounded() {
		end = s.keys.Rank(kr.End)
	}
	return int64(end - s.keys.Rank(kr.Start))
}

// picker gathers the answer to one range request: filters, then sorts, then
// cuts at the limit.
type picker struct {
	req     *registry.RangeRequest
	res     *registry.RangeResult
	inOrder bool // records come in the order that was asked for
	found   []*record
}

// sorts says that the answer is in another order than that of the keys.
func (p *picker) sorts() bool {
	return p.req.SortTarget != registry.SortByKey || p.req.SortOrder == registry.SortDescend
}

// full says that records yet to come cannot be in the answer.
func (p *picker) full() bool {
	if p.req.Limit <= 0 || p.sorts() && !p.inOrder {
		return false
	}
	return int64(len(p.found)+len(p.res.KVs)) >= p.req.Limit
}

func (p *picker) take(r *record) {
	if !passes(p.req, r) {
		return
	}
	if p.sorts() && !p.inOrder {
		p.found = append(p.found, r)
		return
	}
	if p.res.KVs == nil {
		const few = 16
		n := int64(few)
		if p.req.Limit > 0 {
			n = min(p.req.Limit, 1024)
		}
		p.res.KVs = make([]registry.KeyValue, 0, n)
	}
	p.add(r)
}

// more looks at a record beyond the limit.
func (p *picker) more(r *record) {
	if !p.res.More && passes(p.req, r) {
		p.res.More = true
	}
}

func (p *picker) add(r *record) { p.res.KVs = append(p.res.KVs, view(p.req, r)) }

// view is the record as the request wants to see it.
func view(q *registry.RangeRequest, r *record) registry.KeyValue {
	kv := r.kv()
	if q.KeysOnly {
		kv.Value = nil
	}
	return kv
}

// passes says that the request's filters let the record through.
func passes(q *registry.RangeRequest, r *record) bool {
	return (q.MinModRevision <= 0 || r.mod >= q.MinModRevision) &&
		(q.MaxModRevision == 0 || r.mod <= q.MaxModRevision) &&
		(q.MinCreateRevision <= 0 || r.create >= q.MinCreateRevision) &&
		(q.MaxCreateRevision == 0 || r.create <= q.MaxCreateRevision)
}

// finish sorts what take put aside, by the target and within it by key.
func (p *picker) finish() {
	if p.found == nil {
		return
	}
	compare := p.comparison()
	slices.SortStableFunc(p.found, compare)
	if n := p.req.Limit; n > 0 && int64(len(p.found)) > n {
		p.found = p.found[:n]
		p.res.More = true
	}
	p.res.KVs = make([]registry.KeyValue, 0, len(p.found))
	for _, r := range p.found {
		p.add(r)
	}
}

func (p *picker) comparison() func(a, b *record) int {
	var c func(a, b *record) int
	switch p.req.SortTarget {
	case registry.SortByKey:
		c = func(a, b *record) int { return strings.Compare(a.key(), b.key()) }
	case registry.SortByVersion:
		c = func(a, b *record) int { return cmp.Compare(a.version, b.version) }
	case registry.SortByCreate:
		c = func(a, b *record) int { return cmp.Compare(a.create, b.create) }
	case registry.SortByMod:
		c = func(a, b *record) int { return cmp.Compare(a.mod, b.mod) }
	case registry.SortByValue:
		c = func(a, b *record) int { return strings.Compare(a.valueString(), b.valueString()) }
	}
	if p.req.SortOrder == registry.SortDescend {
		return func(a, b *record) int { return c(b, a) }
	}
	return c
}
