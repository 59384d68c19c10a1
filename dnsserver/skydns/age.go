package skydns

import (
	"context"
	"math"
	"time"

	"herald/registry"
)

// unknownAge is the age of what nothing is known about.
const unknownAge = time.Duration(math.MaxInt64)

// touch is what the age of the tree is derived from.
type touch struct {
	// inTouch says that the tree keeps up with the store.
	inTouch bool
	// asOf is a moment by whose end the tree had everything that was written; zero if none is known.
	asOf time.Time
}

// Age bounds how old the tree is. While Follow keeps up with the store it is the age of the store's own copy, for which the
// store is asked; otherwise the time since the tree was last known to be fresh. It is
// math.MaxInt64 before the keys were first read. Safe for concurrent use.
func (f *Follower) Age() time.Duration {
	t := f.touch.Load()
	if t == nil {
		return unknownAge
	}
	if t.inTouch {
		if age, err := f.storeAge(context.Background()); err == nil {
			return age
		}
	}
	if t.asOf.IsZero() {
		return unknownAge
	}
	return max(0, time.Since(t.asOf))
}

// lostTouch makes the tree age from now on.
func (f *Follower) lostTouch() {
	if t := f.touch.Load(); t != nil && t.inTouch {
		f.touch.Store(&touch{asOf: f.asOf(context.Background())})
	}
}

// asOf is the moment as of which the store has everything, or, if it cannot say, what was known before.
func (f *Follower) asOf(ctx context.Context) time.Time {
	age, err := f.storeAge(ctx)
	switch t := f.touch.Load(); {
	case err == nil && age != unknownAge:
		return time.Now().Add(-age)
	case t != nil:
		return t.asOf
	}
	return time.Time{}
}

// storeAge asks how old the store's own copy may be. It reads one key, which does not exist, and does not wait for anybody.
func (f *Follower) storeAge(ctx context.Context) (time.Duration, error) {
	r, err := f.store.Range(ctx, registry.RangeRequest{
		Space: registry.SpaceKV, KeyRange: registry.One("\x00"), CountOnly: true, Consistency: registry.Stale,
	})
	return r.Age, err
}
