package catalog

import (
	"context"
	"math"
	"time"

	"herald/registry"
)

// unknownAge is the age of what nothing is known about.
const unknownAge = time.Duration(math.MaxInt64)

// touch is what the age of the index is derived from.
type touch struct {
	// store is what the index keeps up with; nil while Follow is out of touch with it.
	store registry.Store
	// asOf is a moment by whose end the index had everything that was written; zero
	// if there is none that is known.
	asOf time.Time
}

// Age bounds how old the index is. While Follow is in touch with its store it is
// the age of the store's own copy (registry.RangeResult.Age), for which it asks
// the store: 0 on a leader with a quorum, math.MaxInt64 while no leader has been
// heard since the store was opened. While Follow is out of touch it is the time
// since the index was last known to be fresh. It is math.MaxInt64 before the
// catalog was first read. What the store has and its watch is about to deliver,
// moments old, does not count.
//
// Who bounds the age of an answer asks for it before Index: an index that is
// read later is no older.
func (c *Catalog) Age() time.Duration {
	t := c.touch.Load()
	if t == nil {
		return unknownAge
	}
	if t.store != nil {
		if age, err := storeAge(context.Background(), t.store); err == nil {
			return age
		}
	}
	if t.asOf.IsZero() {
		return unknownAge
	}
	return max(0, time.Since(t.asOf))
}

// inTouch is how things stand while Follow keeps up with s. The store was looked
// at before the index is: what comes in between makes it fresher.
func (c *Catalog) inTouch(ctx context.Context, s registry.Store) *touch {
	return &touch{store: s, asOf: c.asOf(ctx, s)}
}

// lostTouch makes the index age from now on.
func (c *Catalog) lostTouch() {
	if t := c.touch.Load(); t != nil && t.store != nil {
		c.touch.Store(&touch{asOf: c.asOf(context.Background(), t.store)})
	}
}

// asOf is the moment as of which s has everything, or, if it cannot say, what was
// known before.
func (c *Catalog) asOf(ctx context.Context, s registry.Store) time.Time {
	age, err := storeAge(ctx, s)
	switch {
	case err == nil && age != unknownAge:
		return time.Now().Add(-age)
	case c.touch.Load() != nil:
		return c.touch.Load().asOf
	}
	return time.Time{}
}

// storeAge asks how old a store's own copy may be. It reads one key, which does
// not exist, and does not wait for anybody.
func storeAge(ctx context.Context, s registry.Store) (time.Duration, error) {
	r, err := s.Range(ctx, registry.RangeRequest{
		Space: registry.SpaceCatalog, KeyRange: registry.One("\x00"),
		CountOnly: true, Consistency: registry.Stale,
	})
	return r.Age, err
}
