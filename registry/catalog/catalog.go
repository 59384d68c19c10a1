package catalog

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"
)

// Catalog is the live catalog: the current Index, and those who wait for it to
// change. Its methods may be called by any number of goroutines; Follow by one at
// a time.
type Catalog struct {
	index     atomic.Pointer[Index]
	waiters   *waiters
	log       *slog.Logger
	malformed atomic.Int64
	// outOfTouch is when the catalog was last fed, while it is not; nil while it is.
	outOfTouch atomic.Pointer[time.Time]
	fed        atomic.Bool

	// wakeups counts how often a Wait woke to look at the index.
	wakeups atomic.Int64
}

// Option is something about a Catalog that may be left out.
type Option func(*Catalog)

// WithLog makes a Catalog log what goes wrong; without it nothing is logged.
func WithLog(log *slog.Logger) Option { return func(c *Catalog) { c.log = log } }

// New returns a catalog that is empty, at revision 0, until Follow feeds it.
func New(options ...Option) *Catalog {
	c := &Catalog{waiters: newWaiters(), log: slog.New(slog.DiscardHandler)}
	for _, o := range options {
		o(c)
	}
	c.index.Store(emptyIndex())
	return c
}

// Index returns the catalog as it stands. It costs an atomic load.
func (c *Catalog) Index() *Index { return c.index.Load() }

// Age bounds how old the index is by what Follow knows: 0 while it is in touch
// with the store, else the time since it was. It is math.MaxInt64 before the
// catalog was first read. The store's own age (registry.RangeResult.Age) comes on
// top.
func (c *Catalog) Age() time.Duration {
	if !c.fed.Load() {
		return math.MaxInt64
	}
	if t := c.outOfTouch.Load(); t != nil {
		return max(0, time.Since(*t))
	}
	return 0
}

// Malformed counts the records met so far that could not be read.
func (c *Catalog) Malformed() int64 { return c.malformed.Load() }

// Wait blocks until t's revision is above after, and returns the index in which
// it is. When ctx ends first it returns the current index and ctx's error.
// Changes to other topics do not wake it.
func (c *Catalog) Wait(ctx context.Context, t Topic, after int64) (*Index, error) {
	if x := c.Index(); x.TopicRevision(t) > after {
		return x, nil
	}
	t = t.folded()
	for {
		c.waiters.mu.Lock()
		// Looked at under the lock: who publishes after this look finds us waiting.
		x := c.Index()
		if x.TopicRevision(t) > after {
			c.waiters.mu.Unlock()
			return x, nil
		}
		tw := c.waiters.joinLocked(t)
		c.waiters.mu.Unlock()

		select {
		case <-tw.rose:
			c.wakeups.Add(1)
		case <-ctx.Done():
			c.waiters.leave(t, tw)
			return c.Index(), ctx.Err()
		}
	}
}

// WaitRevision blocks until the index contains a revision of the catalog's space,
// so that who wrote at that revision reads its own write. When ctx ends first it
// returns the current index and ctx's error. Revision 1 waits for the catalog to
// be fed at all.
func (c *Catalog) WaitRevision(ctx context.Context, revision int64) (*Index, error) {
	if x := c.Index(); x.Revision() >= revision {
		return x, nil
	}
	c.waiters.mu.Lock()
	if x := c.Index(); x.Revision() >= revision {
		c.waiters.mu.Unlock()
		return x, nil
	}
	r := c.waiters.joinRevisionLocked(revision)
	c.waiters.mu.Unlock()

	select {
	case <-r.reached:
		return c.Index(), nil
	case <-ctx.Done():
		c.waiters.leaveRevision(r)
		return c.Index(), ctx.Err()
	}
}

// publish makes what b built the current index, and wakes who waited for it.
func (c *Catalog) publish(b *builder) {
	x := b.finish()
	c.index.Store(x)
	c.fed.Store(true)
	c.waiters.wake(b, x.revision)
}

func (c *Catalog) countMalformed(key string, err error) {
	c.malformed.Add(1)
	c.log.Warn("a catalog record cannot be read and is ignored", "key", key, "error", err)
}
