package main

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
)

// write is one put that watchers are to see. Its times are since the ledger's begin, and 0 before it came to that.
type write struct {
	sent     atomic.Int64
	answered atomic.Int64
	revision atomic.Int64
}

// ledger is what was written in a round.
type ledger struct {
	begin  time.Time
	writes []write
}

func newLedger(most int) *ledger { return &ledger{begin: time.Now(), writes: make([]write, most)} }

// now is never 0.
func (l *ledger) now() int64 { return max(int64(time.Since(l.begin)), 1) }

// A value begins with the number of its write.
const numberBytes = 8

func valueOf(number int, size int) string {
	b := make([]byte, max(size, numberBytes))
	binary.BigEndian.PutUint64(b, uint64(number))
	return string(b)
}

// find returns the write that a value is of.
func (l *ledger) find(value []byte) (int, error) {
	if len(value) < numberBytes {
		return 0, fmt.Errorf("a value of %d bytes, which nobody wrote", len(value))
	}
	number := binary.BigEndian.Uint64(value)
	if number >= uint64(len(l.writes)) || l.writes[number].sent.Load() == 0 {
		return 0, fmt.Errorf("write %d, which nobody made", number)
	}
	return int(number), nil
}

// receipt is what one watcher was delivered.
type receipt struct {
	count    int
	revision int64 // of the last
	sum      uint64
}

// take notes a delivery. Revisions must go up, so what was delivered twice or out of order is an error at once.
func (r *receipt) take(number int, revision int64) error {
	if revision <= r.revision {
		return fmt.Errorf("revision %d after %d", revision, r.revision)
	}
	r.count++
	r.revision = revision
	r.sum += fingerprint(number, revision)
	return nil
}

// fingerprint is that of one write at its revision. The sum over a watcher's deliveries says whether they were
// the ones expected, without keeping them.
func fingerprint(number int, revision int64) uint64 {
	x := uint64(number)*0x9e3779b97f4a7c15 ^ uint64(revision)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// expected is what each of so many groups of watchers must have been delivered of the first n writes, which go to
// the groups in turn.
func (l *ledger) expected(n, groups int) []receipt {
	all := make([]receipt, groups)
	for i := range n {
		r, revision := &all[i%groups], l.writes[i].revision.Load()
		r.count++
		r.revision = max(r.revision, revision)
		r.sum += fingerprint(i, revision)
	}
	return all
}

// check compares what a watcher was delivered with what it must have been. It returns how many are
// missing, and an error if what came is not what was written.
func (r receipt) check(want receipt) (missing int, err error) {
	switch {
	case r == want:
		return 0, nil
	case r.count < want.count:
		return want.count - r.count, nil
	default:
		return 0, fmt.Errorf("%d deliveries up to revision %d, of %d up to %d that were written, and not the same ones",
			r.count, r.revision, want.count, want.revision)
	}
}
