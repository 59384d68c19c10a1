package mvcc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

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
			if d.kind == frameEnd && registry.Space(id) > registry.SpaceSession {
				break // nothing was ever written to it
			}
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
			case 4:
				l.after = registry.LeaseID(r.Int())
			case 5:
				l.deleteLocked = r.Bool()
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
	return d.heirs()
}

// heirs notes with each lease which other's time begins at its end.
func (d *decoder) heirs() (err error) {
	var asleep []*lease
	d.state.leases.Scan(func(_ int64, l *lease) bool {
		if l.after != 0 {
			asleep = append(asleep, l)
		}
		return true
	})
	for _, l := range asleep {
		before, ok := d.state.leases.Get(int64(l.after))
		if !ok || l.after == l.id || before.heir != 0 {
			return corrupt("lease %d waits for lease %d, which is not there or has another after it", l.id, l.after)
		}
		before.heir = l.id
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
		case 5:
			s.restored = r.Int()
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
	case s.rev < firstRevision || s.rev > maxRevision || s.compacted < neverCompacted || s.compacted > s.rev ||
		s.deadFloor < 0 || s.deadFloor > s.rev || s.restored < 0 || s.restored > min(s.deadFloor, s.lowest()):
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
		s.keys.Set(r)
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
