package mvcc

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"herald/registry"
)

// Old revisions are read from the log. What a key was at a revision is what the first
// event on it after that revision found there; a key that no event followed is as
// it is now. So writing keeps nothing for such reads: the log alone costs nothing to
// search until somebody does. Then its chunks, which never change once they are full,
// get an index by key each, and many of them together one more. Only who reads a view does
// that: a transaction that writes leaves it to whoever answers for it (see late.go).

// chunk is a stretch of the log, and what readers have made of it.
type chunk struct {
	slots  [chunkLen]slot
	number int64 // counted from the first chunk that the log had

	index atomic.Pointer[stretch] // of this chunk
	group atomic.Pointer[stretch] // of the groupLen chunks that end with this one
	gone  bool                    // the log has given it up; guarded by indexes.mu
}

// groupLen is how many chunks share one index. A read looks into two times as many
// indexes at most, beside one for each group.
const groupLen = 32

// stretch is events by key and then by revision.
type stretch []event

func inOrder(a, b event) int {
	if c := strings.Compare(a.key(), b.key()); c != 0 {
		return c
	}
	return int(a.rec.mod - b.rec.mod)
}

// from is the position of the first event at or above key.
func (r stretch) from(key string) int {
	return sort.Search(len(r), func(i int) bool { return r[i].key() >= key })
}

// after is the position of the first event on key after rev, or of the first above key.
func (r stretch) after(key string, rev int64) int {
	return sort.Search(len(r), func(i int) bool {
		c := strings.Compare(r[i].key(), key)
		return c > 0 || c == 0 && r[i].rec.mod > rev
	})
}

// beyond is the position of the first event above key, starting at i. It is near, unless
// the key was written very often.
func (r stretch) beyond(i int, key string) int {
	for n := 0; i < len(r) && r[i].key() == key; n++ {
		if n == 8 {
			return i + sort.Search(len(r)-i, func(j int) bool { return r[i+j].key() > key })
		}
		i++
	}
	return i
}

// indexes are the indexes of one log, those of all its views together.
type indexes struct {
	bytes atomic.Int64
	mu    sync.Mutex // held for a moment to keep one, and to give up those of a chunk
}

// of returns the index kept at p, of chunks that are full, and makes it if nobody has.
// Two readers may make the same at once.
func (x *indexes) of(p *atomic.Pointer[stretch], chunks []*chunk) stretch {
	if r := p.Load(); r != nil {
		return *r
	}
	made := make(stretch, 0, len(chunks)*chunkLen)
	for _, c := range chunks {
		for i := range c.slots {
			made = slices.AppendSeq(made, c.slots[i].events)
		}
	}
	slices.SortFunc(made, inOrder)
	x.keep(p, &made, chunks[len(chunks)-1])
	return made
}

// keep keeps an index of c at p, unless another reader's is there or c is only in old views:
// who still reads those makes its own.
func (x *indexes) keep(p *atomic.Pointer[stretch], made *stretch, c *chunk) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c.gone || !p.CompareAndSwap(nil, made) {
		return
	}
	x.bytes.Add(made.bytes())
}

// drop gives up the indexes that are kept at chunks.
func (x *indexes) drop(chunks []*chunk) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range chunks {
		c.gone = true
		x.bytes.Add(-c.index.Swap(nil).bytes() - c.group.Swap(nil).bytes())
	}
}

// bytes is how much memory an index takes, 0 if there is none.
func (r *stretch) bytes() int64 {
	if r == nil {
		return 0
	}
	return int64(cap(*r)) * int64(unsafe.Sizeof(event{}))
}

// runsAfter calls yield with what was written to a range after rev, in order of time, until
// yield returns false. A run may have events of other keys, and of revisions up to rev.
func (s *space) runsAfter(kr registry.KeyRange, rev int64, yield func(stretch) bool) {
	l := &s.log
	i := max(int((rev+1-l.first)/chunkLen), 0)
	full := int((s.rev + 1 - l.first) / chunkLen)
	for i < full {
		c, last := l.chunks[i], i+groupLen-1
		var r stretch
		if c.number%groupLen == 0 && last < full {
			r = l.indexes.of(&l.chunks[last].group, l.chunks[i:last+1])
			i = last + 1
		} else {
			r = l.indexes.of(&c.index, l.chunks[i:i+1])
			i++
		}
		if !yield(r) {
			return
		}
	}
	var newest stretch
	for at := max(rev+1, l.first+int64(full)*chunkLen); at <= s.rev; at++ {
		for e := range l.at(at).events {
			if kr.Contains(e.key()) {
				newest = append(newest, e)
			}
		}
	}
	slices.SortFunc(newest, inOrder)
	yield(newest)
}

// getAt returns the record of key as of rev, or nil.
func (s *space) getAt(key string, rev int64) *record {
	found := s.get(key)
	if found != nil && found.mod <= rev {
		return found
	}
	s.runsAfter(registry.One(key), rev, func(r stretch) bool {
		i := r.after(key, rev)
		if i == len(r) || r[i].key() != key {
			return true
		}
		found = r[i].prev
		return false
	})
	return found
}

// scanAt yields the records of a range as of rev, in key order: those before what was
// written since, merged with the live ones that nothing was written to since.
func (s *space) scanAt(kr registry.KeyRange, rev int64, yield func(*record) bool) {
	if kr.Empty() {
		return
	}
	if kr.IsOne() {
		if r := s.getAt(kr.Start, rev); r != nil {
			yield(r)
		}
		return
	}
	since := s.changedAfter(kr, rev)
	live := s.keys.Seek(kr.Start)
	next := func() *record { // nil past the range
		if live.Valid() {
			if r := live.Item(); kr.Contains(r.key()) {
				live.Next()
				return r
			}
		}
		return nil
	}
	l := next()
	for {
		key, before, changed := since.next()
		if !changed {
			break
		}
		for l != nil && l.key() < key {
			if !yield(l) {
				return
			}
			l = next()
		}
		if l != nil && l.key() == key {
			l = next()
		}
		if before != nil && !yield(before) {
			return
		}
	}
	for ; l != nil; l = next() {
		if !yield(l) {
			return
		}
	}
}

// changes goes through the keys of a range that were written to after a revision. Its
// cursors are a heap, by key and then by time.
type changes struct {
	kr      registry.KeyRange
	rev     int64
	cursors []cursor
}

// cursor is at an event of a run.
type cursor struct {
	run stretch
	at  int
	age int // 0 is the oldest run
}

func (c *cursor) key() string { return c.run[c.at].key() }

func (s *space) changedAfter(kr registry.KeyRange, rev int64) *changes {
	c := &changes{kr: kr, rev: rev}
	age := 0
	s.runsAfter(kr, rev, func(r stretch) bool {
		at := cursor{run: r, at: r.from(kr.Start), age: age}
		age++
		if c.settle(&at) {
			c.cursors = append(c.cursors, at)
		}
		return true
	})
	for i := len(c.cursors)/2 - 1; i >= 0; i-- {
		c.sink(i)
	}
	return c
}

// settle moves a cursor to the next event, from where it is, that lies in the range and
// after the revision. It reports whether there is one.
func (c *changes) settle(at *cursor) bool {
	for n := 0; at.at < len(at.run) && c.kr.Contains(at.key()); n++ {
		if at.run[at.at].rec.mod > c.rev {
			return true
		}
		if n%8 == 7 {
			at.at = at.run.after(at.key(), c.rev) // a key that was written very often
		} else {
			at.at++
		}
	}
	return false
}

// next returns the next key that was written to, and what it was before, nil if it did
// not exist.
func (c *changes) next() (key string, before *record, ok bool) {
	if len(c.cursors) == 0 {
		return "", nil, false
	}
	first := &c.cursors[0]
	key, before = first.key(), first.run[first.at].prev
	for len(c.cursors) > 0 && c.cursors[0].key() == key {
		top := &c.cursors[0]
		top.at = top.run.beyond(top.at, key)
		if !c.settle(top) {
			last := len(c.cursors) - 1
			c.cursors[0] = c.cursors[last]
			c.cursors = c.cursors[:last]
		}
		c.sink(0)
	}
	return key, before, true
}

// sink restores the heap's order below i.
func (c *changes) sink(i int) {
	less := func(a, b *cursor) bool {
		d := strings.Compare(a.key(), b.key())
		return d < 0 || d == 0 && a.age < b.age
	}
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(c.cursors); child++ {
			if less(&c.cursors[child], &c.cursors[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		c.cursors[i], c.cursors[least] = c.cursors[least], c.cursors[i]
		i = least
	}
}
