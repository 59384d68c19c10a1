package limit

import "sync/atomic"

// ways is how many clients a set has: as many as have their numbers in one line
// of a processor's cache.
const ways = 8

// set is where the clients of one hash are. Its parts are changed one by one, not as a
// whole: at worst a query is counted for the client that has just been replaced.
//
// With the padding it is three lines of the cache, so that two sets share none.
type set struct {
	key  [ways]atomic.Uint64 // 0 is nobody's place
	full [ways]atomic.Int64  // when the bucket is full again
	over [ways]atomic.Uint32 // queries over the rate
	_    [ways]uint32
}

// find returns the place of a client, or -1.
func (s *set) find(key uint64) int {
	for i := range s.key {
		if s.key[i].Load() == key {
			return i
		}
	}
	return -1
}

// admit gives a client a place: that of the one whose bucket is full first or has been
// for longest, by which the least is forgotten. Clients that are over their rate are so the last to
// be forgotten, however many others there are or are made up.
func (s *set) admit(key uint64, now int64) int {
	for {
		at := 0
		for i := range s.full {
			if s.key[i].Load() == 0 {
				at = i
				break
			}
			if s.full[i].Load() < s.full[at].Load() {
				at = i
			}
		}
		old := s.key[at].Load()
		if old == key {
			return at
		}
		if s.key[at].CompareAndSwap(old, key) {
			s.full[at].Store(now)
			s.over[at].Store(0)
			return at
		}
		if i := s.find(key); i >= 0 {
			return i
		}
	}
}
