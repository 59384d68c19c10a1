package mvcc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math"
	"time"
	"unsafe"

	"herald/registry"
	"herald/registry/wire"
)

// Decode reads a snapshot, to the end of r, into a state of its own, published. It
// fails with ErrFormat if a newer version wrote it, with ErrCorrupt if it is not
// byte for byte what Encode wrote, and with r's own errors. Memory grows with
// what r delivers, whatever lengths it claims.
func Decode(r io.Reader) (*State, error) {
	d := &decoder{in: bufio.NewReaderSize(r, 64<<10), state: New(), only: make(map[registry.LeaseID]*attrs)}
	if err := d.decode(); err != nil {
		if errors.Is(err, wire.ErrMalformed) {
			err = fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
		}
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	return d.state, nil
}

// decoder reads frames and checks that they make a state that commands can have
// led to. The checksum says that the bytes are what was written; the checks say
// that applying to them is safe.
type decoder struct {
	in    *bufio.Reader
	sum   uint64
	state *State
	kind  byte
	buf   []byte // the payload of the current frame
	only  map[registry.LeaseID]*attrs
}

// corrupt is an ErrCorrupt that says what does not fit.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", registry.ErrCorrupt, fmt.Sprintf(format, args...))
}

// fill reads exactly len(b) bytes and sums them up.
func (d *decoder) fill(b []byte) error {
	if _, err := io.ReadFull(d.in, b); err != nil {
		return endsEarly(err)
	}
	d.sum = crc64.Update(d.sum, crc64ec, b)
	return nil
}

func endsEarly(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt("it ends early")
	}
	return err
}

// next reads the next frame into d.kind and d.buf.
func (d *decoder) next() error {
	var head [1 + binary.MaxVarintLen64]byte
	n := 0
	for {
		b, err := d.in.ReadByte()
		if err != nil {
			return endsEarly(err)
		}
		head[n] = b
		n++
		if n > 1 && b < 0x80 {
			break
		}
		if n == len(head) {
			return corrupt("a frame has no length")
		}
	}
	d.sum = crc64.Update(d.sum, crc64ec, head[:n])
	d.kind = head[0]
	size, used := binary.Uvarint(head[1:n])
	if used != n-1 || size > math.MaxInt64 {
		return corrupt("a frame has no length")
	}
	if d.kind == frameEnd {
		return d.end(size)
	}
	return d.body(int64(size))
}

// body reads a payload. A large one is read in steps, so that memory is taken
// only for bytes that are there.
func (d *decoder) body(size int64) error {
	const step = 1 << 20
	d.buf = d.buf[:0]
	for int64(len(d.buf)) < size {
		at := len(d.buf)
		n := int(min(size-int64(at), step))
		if cap(d.buf)-at < n {
			d.buf = append(make([]byte, 0, max(2*cap(d.buf), at+n)), d.buf...)
		}
		d.buf = d.buf[:at+n]
		if err := d.fill(d.buf[at:]); err != nil {
			return err
		}
	}
	return nil
}

// end checks the checksum, and that nothing follows it.
func (d *decoder) end(size uint64) error {
	want := d.sum
	var b [8]byte
	if size != uint64(len(b)) {
		return corrupt("its end is damaged")
	}
	if err := d.fill(b[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(b[:]) != want {
		return corrupt("its checksum does not match")
	}
	if _, err := d.in.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return corrupt("bytes follow its end")
	}
	return nil
}

func (d *decoder) decode() error {
	header := make([]byte, headerLen)
	if err := d.fill(header); err != nil {
		return err
	}
	if err := checkHeader(header); err != nil {
		return err
	}
	if err := d.want(frameState); err != nil {
		return err
	}
	err := d.message(func(r *wire.Reader) bool {
		if r.Number() != 1 {
			return false
		}
		d.state.applied = r.Uint()
		return true
	})
	if err != nil {
		return err
	}
	if err := d.next(); err != nil {
		return err
	}
	if err := d.leases(); err != nil {
		return err
	}
	for id := range d.state.spaces {
		if d.kind != frameSpace {
			return corrupt("a space is missing")
		}
		if err := d.space(registry.Space(id)); err != nil {
			return err
		}
	}
	if d.kind != frameEnd {
		return corrupt("it has a frame of kind %d where its end should be", d.kind)
	}
	d.state.changed = ^change(0)
	d.state.Publish()
	return nil
}

// want reads a frame that must be of one kind.
func (d *decoder) want(kind byte) error {
	if err := d.next(); err != nil {
		return err
	}
	if d.kind != kind {
		return corrupt("it has a frame of kind %d where one of kind %d should be", d.kind, kind)
	}
	return nil
}

// message walks the current frame's payload. In a format that is known, an
// unknown field is damage.
func (d *decoder) message(each func(*wire.Reader) bool) error {
	r := wire.NewReader(d.buf)
	for r.Next() {
		if !each(&r) {
			return corrupt("a frame of kind %d has an unknown field %d", d.kind, r.Number())
		}
	}
	return r.Err()
}

func (d *decoder) leases() error {
	last := int64(math.MinInt64)
	for d.kind == frameLease {
		l := &lease{}
		err := d.message(func(r *wire.Reader) bool {
			switch r.Number() {
			case 1:
				l.id = registry.LeaseID(r.Int())
			case 2:
				l.ttl = time.Duration(r.Int())
			case 3:
				l.remaining = time.Duration(r.Int())
			default:
				return false
			}
			return true
		})
		if err != nil {
			return err
		}
		first := d.state.leases.Len() == 0
		if l.id == 0 || !first && int64(l.id) <= last || validTTL(l.ttl) != nil || l.remaining < 0 || l.remaining > l.ttl {
			return corrupt("lease %d is not valid, or out of order", l.id)
		}
		last = int64(l.id)
		l.only = &attrs{lease: l.id}
		d.only[l.id] = l.only
		d.state.leases.Load(last, l)
		if err := d.next(); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) space(id registry.Space) error {
	s := &d.state.spaces[id]
	s.compacted = 0
	s.rev = 0
	named := registry.Space(0)
	err := d.message(func(r *wire.Reader) bool {
		switch r.Number() {
		case 1:
			named = registry.Space(r.Small(math.MaxUint8))
		case 2:
			s.rev = r.Int()
		case 3:
			s.compacted = r.Int()
		case 4:
			s.deadFloor = r.Int()
		default:
			return false
		}
		return true
	})
	switch {
	case err != nil:
		return err
	case named != id:
		return corrupt("space %v stands where %v should be", named, id)
	case s.rev < firstRevision || s.rev > maxRevision || s.compacted < neverCompacted || s.compacted > s.rev || s.deadFloor < 0 || s.deadFloor > s.rev:
		return corrupt("space %v: its revisions do not fit together", id)
	}
	s.log.first = s.history()
	d.state.swept.next[id].rev = s.compacted + 1
	if err := d.next(); err != nil {
		return err
	}
	if err := d.keys(s); err != nil {
		return err
	}
	for rev := s.history(); rev <= s.rev; rev++ {
		if err := d.commit(s, rev); err != nil {
			return err
		}
	}
	if err := d.dead(s); err != nil {
		return err
	}
	return d.holds(s)
}

// keys reads the keys as of the compaction revision.
func (d *decoder) keys(s *space) error {
	last := ""
	for d.kind == frameKey {
		r, err := d.record()
		if err != nil {
			return err
		}
		if r.key() <= last || !r.plausible(s.compacted) {
			return corrupt("space %v: key %q is not valid, or out of order", s.id, r.key())
		}
		last = r.key()
		s.keys.Load(r.key(), r)
		s.bytes += r.bytes()
		if err := d.next(); err != nil {
			return err
		}
	}
	return nil
}

// plausible says that transactions can have led to a live record whose last
// write was no later than rev.
func (r *record) plausible(rev int64) bool {
	return r.keyLen > 0 && r.create > firstRevision && r.create <= r.mod && r.mod <= rev &&
		r.version >= 1 && r.version <= r.mod-r.create+1
}

// commit reads the commit of one revision and replays it.
func (d *decoder) commit(s *space, rev int64) error {
	if d.kind != frameCommit {
		return corrupt("space %v: commit %d is missing", s.id, rev)
	}
	var c cause
	var when int64
	var n uint64
	err := d.message(func(r *wire.Reader) bool {
		switch r.Number() {
		case 1:
			when = r.Int()
		case 2:
			c.who = r.String()
		case 3:
			c.why = registry.Reason(r.Small(math.MaxUint8))
		case 4:
			n = r.Uint()
		default:
			return false
		}
		return true
	})
	if err != nil {
		return err
	}
	slot := s.log.append(rev)
	slot.when, slot.cause = when, d.state.intern(c)
	d.state.cause = slot.cause
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
	if rest != nil {
		rest = append(make([]event, 0, len(rest)), rest...)
		slot.rest = &rest
	}
	return d.next()
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
	prev := s.get(put.rec.key())
	e := event{prev: prev, rec: put.rec}
	if d.kind == frameDelete {
		if prev == nil {
			return event{}, corrupt("space %v: commit %d deletes key %q, which is not there", s.id, rev, put.rec.key())
		}
		e.rec = newTombstone(put.rec.key(), rev)
		s.keys.Delete(prev.key())
		s.keepOld(e.rec)
	} else {
		create, version := rev, int64(1)
		if prev != nil && !put.recreated {
			create, version = prev.create, prev.version+1
		}
		if prev != nil && bytes.Equal(prev.value(), put.rec.value()) {
			e.rec = prev.with(0, 0, 0, put.rec.attrs) // as it was before it was written
		}
		e.rec.create, e.rec.mod, e.rec.version = create, rev, version
		s.keys.Set(e.rec.key(), e.rec)
		s.bytes += e.rec.bytes()
	}
	if prev != nil {
		s.bytes -= prev.bytes()
		s.keepOld(prev)
	}
	return e, nil
}

func (s *space) keepOld(r *record) {
	s.hist.Set(r)
	s.histBytes += r.bytes()
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

func (d *decoder) fields(recreated *bool) (*record, error) {
	var key, value []byte
	var a attrs
	var create, mod, version int64
	err := d.message(func(r *wire.Reader) bool {
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
			return false
		}
		return true
	})
	if err != nil {
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
	case a != attrs{lease: a.lease}:
		return &a
	}
	p, ok := d.only[a.lease]
	if !ok {
		p = &a
		d.only[a.lease] = p
	}
	return p
}

func (d *decoder) dead(s *space) error {
	last := ""
	for d.kind == frameDead {
		var key string
		var rev int64
		err := d.message(func(r *wire.Reader) bool {
			switch r.Number() {
			case 1:
				key = r.String()
			case 2:
				rev = r.Int()
			default:
				return false
			}
			return true
		})
		if err != nil {
			return err
		}
		if key <= last || rev <= firstRevision || rev > s.rev || s.get(key) != nil || s.dead.Len() >= maxDead {
			return corrupt("space %v: deleted key %q is not valid, or out of order", s.id, key)
		}
		last = key
		s.dead.Load(key, rev)
		d.state.graves[s.id].byRev.Set(deadKey{rev, key})
		if err := d.next(); err != nil {
			return err
		}
	}
	return nil
}

// holds finds what the leases hold up, which follows from the keys.
func (d *decoder) holds(s *space) error {
	var err error
	s.scan(registry.All(), func(r *record) bool {
		a := r.extra()
		for _, l := range [...]registry.LeaseID{a.lease, a.lock.Holder} {
			if l == 0 {
				continue
			}
			if _, ok := d.state.leases.Get(int64(l)); !ok {
				err = corrupt("space %v: key %q names lease %d, which is not there", s.id, r.key(), l)
				return false
			}
		}
		d.state.moveHolds(s.id, event{rec: r})
		return true
	})
	return err
}
