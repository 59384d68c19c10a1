package mvcc

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"io"

	"herald/registry"
	"herald/registry/wire"
)

// Encode writes a snapshot of the view: everything that Decode needs to answer as
// the view does. It takes as long as w takes, and holds up nobody. An error is
// w's; what was written before it is useless.
func (v *View) Encode(w io.Writer) error {
	e := newEncoder(w)
	e.out.Write(appendHeader(nil, snapshotFormat))
	e.state(v.applied)
	e.image(&v.image)
	if err := e.end(); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return nil
}

// Hash is a checksum of the whole state but for the applied index. Replicas of
// equal state have equal hashes, provided they run versions of one snapshot
// format. It takes as long as Encode does.
func (v *View) Hash() uint64 {
	e := newEncoder(io.Discard)
	e.image(&v.image)
	e.out.Flush()
	return e.sum.crc
}

// HashAt is a checksum of what a space kept as of rev: the keys at its compaction
// revision and what was committed from there to rev. Replicas that were
// compacted alike have equal hashes. 0 or less is the current revision. It also
// returns the revision hashed and the compaction revision. ErrFutureRevision,
// *CompactedError.
func (v *View) HashAt(id registry.Space, rev int64) (hash uint64, at, compacted int64, err error) {
	if !id.Valid() {
		return 0, 0, 0, invalidSpace(id)
	}
	s := &v.spaces[id]
	if rev <= 0 {
		rev = s.rev
	}
	if err := s.readable(rev, s.rev); err != nil {
		return 0, 0, 0, err
	}
	e := newEncoder(io.Discard)
	e.keys(s)
	e.commits(s, rev)
	e.out.Flush()
	return e.sum.crc, rev, s.lowest(), nil
}

// encoder writes frames. The first error sticks to out.
type encoder struct {
	out     *bufio.Writer
	sum     *summer
	head    []byte
	payload []byte
}

// summer passes bytes on and sums them up.
type summer struct {
	w   io.Writer
	crc uint64
}

func (s *summer) Write(b []byte) (int, error) {
	s.crc = crc64.Update(s.crc, crc64ec, b)
	return s.w.Write(b)
}

func newEncoder(w io.Writer) *encoder {
	sum := &summer{w: w}
	return &encoder{out: bufio.NewWriterSize(sum, 64<<10), sum: sum}
}

// frame writes one frame, whose payload was appended to e.payload[:0].
func (e *encoder) frame(kind byte, payload []byte) {
	e.head = append(e.head[:0], kind)
	e.head = binary.AppendUvarint(e.head, uint64(len(payload)))
	e.out.Write(e.head)
	e.out.Write(payload)
	e.payload = payload
}

// end writes the end frame. The sum covers the frame's own kind and length.
func (e *encoder) end() error {
	e.out.Write([]byte{frameEnd, 8})
	if err := e.out.Flush(); err != nil {
		return err
	}
	e.out.Write(binary.LittleEndian.AppendUint64(nil, e.sum.crc))
	return e.out.Flush()
}

func (e *encoder) state(applied uint64) {
	e.frame(frameState, wire.AppendUint(e.payload[:0], 1, applied))
}

func (e *encoder) image(m *image) {
	m.leases.Scan(func(_ int64, l *lease) bool {
		b := wire.AppendInt(e.payload[:0], 1, int64(l.id))
		b = wire.AppendInt(b, 2, int64(l.ttl))
		b = wire.AppendInt(b, 3, int64(l.remaining))
		b = wire.AppendInt(b, 4, int64(l.after))
		e.frame(frameLease, wire.AppendBool(b, 5, l.deleteLocked))
		return true
	})
	for id := range m.spaces {
		if s := &m.spaces[id]; s.id <= registry.SpaceSession || !s.untouched() {
			e.space(s)
		}
	}
}

// untouched says that nothing was ever written to the space, nor compacted. A snapshot
// leaves out such a space of those that were added later, and so says what it did
// before they were.
func (s *space) untouched() bool {
	return s.rev == firstRevision && s.compacted == neverCompacted
}

func (e *encoder) space(s *space) {
	b := wire.AppendUint(e.payload[:0], 1, uint64(s.id))
	b = wire.AppendInt(b, 2, s.rev)
	b = wire.AppendInt(b, 3, s.compacted)
	b = wire.AppendInt(b, 4, s.deadFloor)
	e.frame(frameSpace, wire.AppendInt(b, 5, s.restored))
	e.keys(s)
	e.commits(s, s.rev)
	s.dead.Scan(func(key string, rev int64) bool {
		b := wire.AppendString(e.payload[:0], 1, key)
		e.frame(frameDead, wire.AppendInt(b, 2, rev))
		return true
	})
}

// keys writes the keys as of the compaction revision.
func (e *encoder) keys(s *space) {
	each := func(r *record) bool {
		e.frame(frameKey, appendRecord(e.payload[:0], r))
		return true
	}
	switch {
	case s.compacted <= firstRevision:
	case s.compacted == s.rev:
		s.scan(registry.All(), each)
	default:
		s.scanAt(registry.All(), s.compacted, each)
	}
}

// commits writes the commits up to revision to.
func (e *encoder) commits(s *space, to int64) {
	for rev := s.history(); rev <= to; rev++ {
		slot := s.log.at(rev)
		b := wire.AppendInt(e.payload[:0], 1, slot.when)
		b = wire.AppendString(b, 2, slot.cause.who)
		b = wire.AppendUint(b, 3, uint64(slot.cause.why))
		b = wire.AppendUint(b, 4, uint64(slot.len()))
		e.frame(frameCommit, wire.AppendBytes(b, 5, packed(slot.order())))
		for ev := range slot.events {
			e.event(ev, rev == s.compacted)
		}
	}
}

// packed is numbers as protobuf packs them.
func packed(numbers []uint32) (b []byte) {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

// event writes one event; oldest says that it is of the commit at the compaction
// revision.
func (e *encoder) event(ev event, oldest bool) {
	if oldest && ev.prev != nil {
		e.frame(frameBefore, appendRecord(e.payload[:0], ev.prev))
	}
	b := wire.AppendString(e.payload[:0], recordKey, ev.rec.key())
	switch {
	case ev.rec.deleted():
		e.frame(frameDelete, b)
	case oldest:
		e.frame(frameKept, b)
	default:
		b = wire.AppendBytes(b, recordValue, ev.rec.value())
		b = appendAttrs(b, ev.rec.attrs)
		e.frame(framePut, wire.AppendBool(b, recordRecreated, ev.prev != nil && ev.rec.create == ev.rec.mod))
	}
}

// The fields of a record. A put leaves out the revisions and the version, which
// follow from what was there before.
const (
	recordKey = iota + 1
	recordValue
	recordLease
	recordFlags
	recordHolder
	recordCount
	recordCreate
	recordMod
	recordVersion
	recordRecreated
)

func appendRecord(b []byte, r *record) []byte {
	b = wire.AppendString(b, recordKey, r.key())
	b = wire.AppendBytes(b, recordValue, r.value())
	b = appendAttrs(b, r.attrs)
	b = wire.AppendInt(b, recordCreate, r.create)
	b = wire.AppendInt(b, recordMod, r.mod)
	return wire.AppendInt(b, recordVersion, r.version)
}

func appendAttrs(b []byte, a *attrs) []byte {
	if a == nil {
		return b
	}
	b = wire.AppendInt(b, recordLease, int64(a.lease))
	b = wire.AppendUint(b, recordFlags, a.flags)
	b = wire.AppendInt(b, recordHolder, int64(a.lock.Holder))
	return wire.AppendUint(b, recordCount, a.lock.Count)
}
