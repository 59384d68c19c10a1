package mvcc

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"herald/registry"
	"herald/registry/wire"
)

// commit reads the commit of one revision and replays it.
func (d *decoder) commit(s *space, rev int64) error {
	if d.kind != frameCommit {
		return corrupt("space %v: commit %d is missing", s.id, rev)
	}
	slot := s.log.append(rev)
	n, order, err := d.commitHead(slot)
	if err != nil {
		return err
	}
	var rest []event
	last := ""
	for i := range n {
		if err := d.next(); err != nil {
			return err
		}
		e, err := d.event(s, rev)
		if err != nil {
			return err
		}
		if e.key() <= last {
			return corrupt("space %v: commit %d is not in order of keys", s.id, rev)
		}
		last = e.key()
		if i == 0 {
			slot.first = e
		} else {
			rest = append(rest, e)
		}
	}
	if order != nil && !isOrder(order, n) {
		return corrupt("space %v: commit %d: the order of its events is not valid", s.id, rev)
	}
	if rest != nil {
		slot.rest = &others{append(make([]event, 0, len(rest)), rest...), order}
	}
	return d.next()
}

// commitHead reads the current frame into slot, and returns how many events follow and their
// order, which is still to be checked.
func (d *decoder) commitHead(slot *slot) (events uint64, order []uint32, err error) {
	var who []byte
	var why registry.Reason
	r := wire.NewReader(d.buf)
	for r.Next() {
		switch r.Number() {
		case 1:
			slot.when = r.Int()
		case 2:
			who = r.Bytes()
		case 3:
			why = registry.Reason(r.Small(math.MaxUint8))
		case 4:
			events = r.Uint()
		case 5:
			order = unpacked(r.Bytes())
		default:
			return 0, nil, d.unknown(r.Number())
		}
	}
	// Most commits have the cause of the one before.
	if c := d.state.cause; c == nil || c.who != string(who) || c.why != why {
		d.state.cause = d.state.intern(cause{string(who), why})
	}
	slot.cause = d.state.cause
	return events, order, r.Err()
}

// unpacked reads what packed wrote. What is none of that gives a number that is in no order.
func unpacked(b []byte) []uint32 {
	numbers := make([]uint32, 0, len(b))
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > math.MaxUint32 {
			return append(numbers, math.MaxUint32)
		}
		numbers, b = append(numbers, uint32(n)), b[size:]
	}
	return numbers
}

// isOrder says that n events can have stood in that order: each place is there once, and
// not all are where they were, since that is not written down.
func isOrder(order []uint32, n uint64) bool {
	if uint64(len(order)) != n || slices.IsSorted(order) {
		return false
	}
	seen := make([]bool, n)
	for _, at := range order {
		if uint64(at) >= n || seen[at] {
			return false
		}
		seen[at] = true
	}
	return true
}

// event reads one event of the commit at rev and brings the keys up to it.
func (d *decoder) event(s *space, rev int64) (event, error) {
	if rev == s.compacted {
		return d.oldestEvent(s, rev)
	}
	put, err := d.put()
	if err != nil {
		return event{}, err
	}
	e := event{rec: put.rec}
	if d.kind == frameDelete {
		e.prev, _ = s.keys.Delete(put.rec.key())
		if e.prev == nil {
			return event{}, corrupt("space %v: commit %d deletes key %q, which is not there", s.id, rev, put.rec.key())
		}
		e.rec = newTombstone(put.rec.key(), rev)
		s.outdated(e.rec)
	} else {
		e.prev, _ = s.keys.Set(e.rec)
		if e.prev != nil && bytes.Equal(e.prev.value(), e.rec.value()) {
			e.rec = e.prev.with(0, 0, 0, e.rec.attrs) // as it was before it was written
			s.keys.Set(e.rec)
		}
		e.rec.create, e.rec.mod, e.rec.version = rev, rev, 1
		if e.prev != nil && !put.recreated {
			e.rec.create, e.rec.version = e.prev.create, e.prev.version+1
		}
		s.bytes += e.rec.bytes()
	}
	if e.prev != nil {
		s.bytes -= e.prev.bytes()
		s.outdated(e.prev)
	}
	return e, nil
}

// oldestEvent reads an event of the commit at the compaction revision, which the
// keys contain already.
func (d *decoder) oldestEvent(s *space, rev int64) (e event, err error) {
	if d.kind == frameBefore {
		if e.prev, err = d.record(); err != nil {
			return e, err
		}
		if !e.prev.plausible(rev - 1) {
			return e, corrupt("space %v: commit %d: key %q is not valid", s.id, rev, e.prev.key())
		}
		if err := d.next(); err != nil {
			return e, err
		}
	}
	put, err := d.put()
	if err != nil {
		return e, err
	}
	key := put.rec.key()
	switch live := s.get(key); {
	case e.prev != nil && e.prev.key() != key:
		return e, corrupt("space %v: commit %d: keys %q and %q do not belong together", s.id, rev, e.prev.key(), key)
	case d.kind == frameDelete && live == nil && e.prev != nil:
		e.rec = newTombstone(key, rev)
	case d.kind == frameKept && live != nil && live.mod == rev:
		e.rec = live
	default:
		return e, corrupt("space %v: commit %d: key %q does not fit", s.id, rev, key)
	}
	return e, nil
}

// put is what a put, kept or delete frame says.
type put struct {
	rec       *record // revisions and version are not set
	recreated bool
}

func (d *decoder) put() (p put, err error) {
	if d.kind != framePut && d.kind != frameKept && d.kind != frameDelete {
		return p, corrupt("it has a frame of kind %d where an event should be", d.kind)
	}
	p.rec, err = d.fields(&p.recreated)
	if err == nil && (p.rec.keyLen == 0 || d.kind != framePut && (p.rec.valueLen != 0 || p.rec.attrs != nil)) {
		err = corrupt("an event is not valid")
	}
	return p, err
}

// record reads a frame that holds a whole record.
func (d *decoder) record() (*record, error) { return d.fields(nil) }

// fields reads a record, or, where recreated is given, what an event says of one.
// A restore reads millions: it does without message's callback, which would cost
// an allocation.
func (d *decoder) fields(recreated *bool) (*record, error) {
	var key, value []byte
	var a attrs
	var create, mod, version int64
	r := wire.NewReader(d.buf)
	for r.Next() {
		switch n := r.Number(); {
		case n == recordKey:
			key = r.Bytes()
		case n == recordValue:
			value = r.Bytes()
		case n == recordLease:
			a.lease = registry.LeaseID(r.Int())
		case n == recordFlags:
			a.flags = r.Uint()
		case n == recordHolder:
			a.lock.Holder = registry.LeaseID(r.Int())
		case n == recordCount:
			a.lock.Count = r.Uint()
		case n == recordCreate && recreated == nil:
			create = r.Int()
		case n == recordMod && recreated == nil:
			mod = r.Int()
		case n == recordVersion && recreated == nil:
			version = r.Int()
		case n == recordRecreated && recreated != nil:
			*recreated = r.Bool()
		default:
			return nil, d.unknown(n)
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if uint64(len(key)) > math.MaxUint32 || uint64(len(value)) > math.MaxUint32 {
		return nil, corrupt("a record of %d bytes", len(key)+len(value))
	}
	rec := newRecord(unsafe.String(unsafe.SliceData(key), len(key)), value)
	rec.create, rec.mod, rec.version = create, mod, version
	rec.attrs = d.share(a)
	return rec, nil
}

// share is State.share for leases that may have ended since.
func (d *decoder) share(a attrs) *attrs {
	switch {
	case a == noAttrs:
		return nil
	case a == attrs{lease: a.lease}:
		if p, ok := d.only[a.lease]; ok {
			return p
		}
	}
	own := a // the parameter itself must not escape, as in State.share
	if a == (attrs{lease: a.lease}) {
		d.only[a.lease] = &own
	}
	return &own
}
