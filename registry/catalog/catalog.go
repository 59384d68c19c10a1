package catalog

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"herald/registry"
)

// Catalog is the live catalog: the current Index, and those who wait for it to
// change. Its methods may be called by any number of goroutines; Follow by one at
// a time.
type Catalog struct {
	index     atomic.Pointer[Index]
	waiters   *waiters
	log       *slog.Logger
	malformed atomic.Int64
	touch     atomic.Pointer[touch] // nil until the catalog was first read; Follow sets it
	bootWait  time.Duration
	cluster   registry.Cluster // nil if it is not known

	// wakeups counts how often a Wait woke to look at the index.
	wakeups atomic.Int64
}

// Option is something about a Catalog that may be left out.
type Option func(*Catalog)

// WithLog makes a Catalog log what goes wrong; without it nothing is logged.
func WithLog(log *slog.Logger) Option { return func(c *Catalog) { c.log = log } }

// DefaultBootWait is how long Follow waits for its store to be confirmed, unless
// WithBootWait says otherwise.
const DefaultBootWait = 5 * time.Second

// WithBootWait sets how long Follow, before it reads the catalog for the first
// time, waits for the store to have heard from a leader. A server that restarts
// knows only what its last snapshot held until it has; a catalog read earlier
// lacks what was registered since. Once the wait is over the catalog is read
// whatever its age, so that a server without a quorum serves what it has. 0 or
// less does not wait.
func WithBootWait(d time.Duration) Option { return func(c *Catalog) { c.bootWait = d } }

// WithCluster tells Follow of the cluster that its store is part of. While a leader is
// known the store will catch up with it, however long its log is; and while the log goes
// beyond what is applied, the state may lack what was registered long ago. The boot wait is
// then over only once neither was so for as long.
func WithCluster(cluster registry.Cluster) Option { return func(c *Catalog) { c.cluster = cluster } }

// New returns a catalog that is empty, at revision 0, until Follow feeds it.
func New(options ...Option) *Catalog {
	c := &Catalog{waiters: newWaiters(), log: slog.New(slog.DiscardHandler), bootWait: DefaultBootWait}
	for _, o := range options {
		o(c)
	}
	c.index.Store(emptyIndex())
	return c
}

// Index returns the catalog as it stands. It costs an atomic load.
func (c *Catalog) Index() *Index { return c.index.Load() }

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

// publish makes what b built the current index, and wakes who waited for it. How
// things stand with it is t, or, if that is nil, as before.
func (c *Catalog) publish(b *builder, t *touch) {
	x := b.finish()
	c.index.Store(x)
	if t != nil {
		c.touch.Store(t) // before who waits can ask for the age
	}
	c.waiters.wake(b, x.revision)
}

func (c *Catalog) countMalformed(key string, err error) {
	c.malformed.Add(1)
	c.log.Warn("a catalog record cannot be read and is ignored", "key", key, "error", err)
}
