package agent

import (
	"math/rand/v2"
	"time"
)

// backoff spaces out tries that fail: from min, doubling to max, each between
// half and all of that, so that many agents do not come back in one moment.
type backoff struct {
	min, max time.Duration
	now      time.Duration // the last, before jitter; 0 is none
}

func (b *backoff) next() time.Duration {
	b.now = min(max(b.now*2, b.min), b.max)
	return b.now/2 + rand.N(b.now/2+1)
}

func (b *backoff) reset() { b.now = 0 }
