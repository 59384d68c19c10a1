package limit

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"net/netip"
	"time"
)

// Verdict is what becomes of a query.
type Verdict uint8

const (
	// Answer it.
	Answer Verdict = iota
	// Slip is to answer it with an empty answer that has the TC bit set.
	Slip
	// Drop it.
	Drop
)

// String names the verdict.
func (v Verdict) String() string {
	switch v {
	case Answer:
		return "answer"
	case Slip:
		return "slip"
	case Drop:
		return "drop"
	}
	return "unknown"
}

// Limiter counts the queries of each client.
type Limiter struct {
	sets []set // a power of two of them; none if nothing is limited
	// seed keeps from outside which clients share a set.
	seed maphash.Seed

	interval int64 // ns between queries at the rate
	depth    int64 // ns: burst intervals
	slip     uint32
}

// New returns a Limiter, with settings that are valid.
func New(c Config) (*Limiter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	l := &Limiter{seed: maphash.MakeSeed(), slip: uint32(c.Slip)}
	if c.Rate == 0 {
		return l, nil
	}
	l.interval = c.interval()
	l.depth = l.interval * int64(c.Burst)
	l.sets = make([]set, 1<<bits.Len(uint(c.Clients-1)/ways))
	return l, nil
}

// clockSlack is how far apart the times may be that concurrent callers have read. A
// client that seems to have used up more than its burst by more than that was
// counted before the clock was set back.
const clockSlack = int64(time.Second)

// Check counts a query of a client at a time in nanoseconds, on any clock that
// does not jump, and says what becomes of it. Loopback addresses are never limited,
// nor is what comes from no address.
//
// The count is exact for one caller. Where several meet over a client that is new, or over the
// one that it takes the place of, it may be off by as many queries as they are.
func (l *Limiter) Check(addr netip.Addr, now int64) Verdict {
	if len(l.sets) == 0 {
		return Answer
	}
	addr = addr.Unmap()
	if !addr.IsValid() || addr.IsLoopback() {
		return Answer
	}
	key := client(addr)
	s := &l.sets[l.hash(key)&uint64(len(l.sets)-1)]
	i := s.find(key)
	if i < 0 {
		i = s.admit(key, now)
	}
	// A bucket is kept as the time at which it will be full again: each query puts
	// that off by an interval, and none may put it off beyond the burst.
	for {
		full := s.full[i].Load()
		from := full
		if full < now || full > now+l.depth+clockSlack {
			from = now
		}
		if from+l.interval > now+l.depth {
			return l.over(s, i)
		}
		if s.full[i].CompareAndSwap(full, from+l.interval) {
			return Answer
		}
	}
}

func (l *Limiter) over(s *set, i int) Verdict {
	if l.slip > 0 && s.over[i].Add(1)%l.slip == 0 {
		return Slip
	}
	return Drop
}

// client is the number of the client that an address is of, which is never 0.
func client(addr netip.Addr) uint64 {
	const v4, v6 = 1, 2 // in the 8 bits that no client's number needs
	if addr.Is4() {
		b := addr.As4()
		return uint64(binary.BigEndian.Uint32(b[:]))<<8 | v4
	}
	b := addr.As16()
	return binary.BigEndian.Uint64(b[:])&^0xff | v6
}

func (l *Limiter) hash(key uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], key)
	return maphash.Bytes(l.seed, b[:])
}
