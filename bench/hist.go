package main

import (
	"math"
	"math/bits"
	"time"
)

// subBits makes a bucket at most 1/64 as wide as the durations in it are long.
const subBits = 6

// histogram counts durations: exactly below 128 ns, and to within 1.6 % above. It takes the same memory
// for ten million of them as for ten. The zero value is empty. Not for concurrent use.
type histogram struct {
	counts  [(64 - subBits) << subBits]uint64
	n       uint64
	longest time.Duration
}

// bucket is where a duration is counted. A negative one counts as none.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// bucketEnd is the longest duration that is counted in a bucket.
func bucketEnd(i int) time.Duration {
	shift := max(i>>subBits-1, 0)
	mantissa := uint64(i - shift<<subBits)
	return time.Duration((mantissa+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(d)]++
	h.n++
	h.longest = max(h.longest, d)
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.n += other.n
	h.longest = max(h.longest, other.longest)
}

// quantile returns the shortest duration that a share q of all, from 0 to 1, do not exceed, rounded up to the end of
// its bucket; 0 of an empty histogram.
func (h *histogram) quantile(q float64) time.Duration {
	rank := max(uint64(math.Ceil(q*float64(h.n))), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(bucketEnd(i), h.longest)
		}
	}
	return h.longest
}
