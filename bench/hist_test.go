package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// durations are of every length, not mostly of the longest.
func durations() *rapid.Generator[time.Duration] {
	return rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64().Draw(t, "bits") >> rapid.IntRange(0, 63).Draw(t, "shift"))
	})
}

func TestBucketHoldsItsDurations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := durations().Draw(t, "d")
		i := bucket(d)
		if d = max(d, 0); bucketEnd(i) < d || i > 0 && bucketEnd(i-1) >= d {
			t.Fatalf("%d is counted in bucket %d, which ends at %d", d, i, bucketEnd(i))
		}
	})
	if last := len(histogram{}.counts) - 1; bucket(math.MaxInt64) > last {
		t.Fatalf("the longest duration is counted in bucket %d of %d", bucket(math.MaxInt64), last)
	}
}

// A quantile is never below the exact one and at most 1/64 above it, however the durations came into the histogram.
func TestQuantileIsNearTheExactOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(durations(), 1, 200).Draw(t, "all")
		parts := [2]histogram{}
		for i, d := range all {
			parts[i%2].add(d)
		}
		parts[0].merge(&parts[1])
		slices.Sort(all)
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		rank := max(int(math.Ceil(q*float64(len(all)))), 1)
		exact := max(all[rank-1], 0)
		if got := parts[0].quantile(q); got < exact || got-exact > exact/64 {
			t.Fatalf("quantile %v of %v is %d, want %d", q, all, got, exact)
		}
	})
}

func TestQuantiles(t *testing.T) {
	var h histogram
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("the median of nothing is %v", got)
	}
	for i := range 100 {
		h.add(time.Duration(i + 1))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := h.quantile(q); got != want {
			t.Errorf("quantile %v of 1 to 100 is %d, want %d", q, got, want)
		}
	}
}
