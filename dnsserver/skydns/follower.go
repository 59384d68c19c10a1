package skydns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"herald/registry"
)

// How long Follow waits after an error before it reads anew: this, doubled each time in a row, up to the most.
const (
	retryFirst = 50 * time.Millisecond
	retryMost  = 2 * time.Second
)

// pageKeys is how many keys are read from the store at a time.
const pageKeys = 4096

// tellMost is how many refused records are told of one by one, of those that come together.
const tellMost = 10

// Store is what a Follower needs of a registry.Store.
type Store interface {
	Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error)
	Watch(ctx context.Context, r registry.WatchRequest) (registry.Watcher, error)
}

// Follower keeps a Tree equal to the keys of a store. Its methods but Follow may be called by any number of goroutines.
type Follower struct {
	store  Store
	prefix Prefix
	log    *slog.Logger

	tree    atomic.Pointer[Tree]
	touch   atomic.Pointer[touch]
	refused atomic.Int64

	told int // of the refused records, since the last publish; Follow's
}

// NewFollower returns a follower that has read nothing yet.
func NewFollower(s Store, p Prefix, log *slog.Logger) *Follower {
	return &Follower{store: s, prefix: p, log: log}
}

// Tree is the current one, nil until the keys were first read.
func (f *Follower) Tree() *Tree { return f.tree.Load() }

// Refused is how many keys below the prefix are left out now, since they are no names or their values are no records.
func (f *Follower) Refused() int64 { return f.refused.Load() }

// Follow reads the keys and then follows their changes until ctx ends, when it returns nil. It returns registry.ErrStopped if
// the store stops; after every other error it reads anew, and the tree stays as it was until then. It reads this process's own copy,
// whatever its age: whoever calls it has waited until there is one to go by. It must not be called twice at once.
func (f *Follower) Follow(ctx context.Context) error {
	b := newBuilder(f.prefix, f.tell)
	for retry := retryFirst; ; {
		read, err := f.follow(ctx, &b)
		f.lostTouch()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, registry.ErrStopped):
			return fmt.Errorf("following the keys below %s: %w", f.prefix, err)
		case read:
			retry = retryFirst
		}
		f.log.Warn("dns: SkyDNS records are read anew", "prefix", f.prefix, "in", retry, "err", err)
		timer := time.NewTimer(retry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		retry = min(2*retry, retryMost)
	}
}

// follow reads the keys, and follows them until an error. It reports whether they could be read.
func (f *Follower) follow(ctx context.Context, to **builder) (read bool, err error) {
	b := (*to).again()
	asOf := f.asOf(ctx)
	now, err := f.read(ctx, b)
	if err != nil {
		return false, err
	}
	w, err := f.store.Watch(ctx, registry.WatchRequest{Space: registry.SpaceKV, KeyRange: f.prefix.Range(), StartRevision: now + 1})
	if err != nil {
		return false, err
	}
	defer w.Close()
	*to, b.told = b, nil
	f.publish(b)
	f.touch.Store(&touch{inTouch: true, asOf: asOf})
	for {
		commits, err := w.Next(ctx)
		if err != nil {
			return true, err
		}
		for i := range commits {
			b.commit(&commits[i])
		}
		f.publish(b)
	}
}

// tell says why a record is left out.
func (f *Follower) tell(err error) {
	if f.told++; f.told <= tellMost {
		f.log.Warn("dns: a SkyDNS record is left out", "err", err)
	}
}

func (f *Follower) publish(b *builder) {
	if more := f.told - tellMost; more > 0 {
		f.log.Warn("dns: more SkyDNS records are left out", "prefix", f.prefix, "number", more)
	}
	f.told = 0
	f.refused.Store(int64(len(b.refused)))
	f.tree.Store(b.tree())
}

// read puts all keys into b, as they were at one revision, which it returns.
func (f *Follower) read(ctx context.Context, b *builder) (revision int64, err error) {
	next := f.prefix.Range()
	for {
		r, err := f.store.Range(ctx, registry.RangeRequest{
			Space: registry.SpaceKV, KeyRange: next, Revision: revision, Limit: pageKeys, SkipCount: true,
			WithLastChange: revision == 0, Consistency: registry.Stale,
		})
		if err != nil {
			return 0, err
		}
		if revision == 0 {
			revision, b.revision = r.Revision, r.LastChange
		}
		for i := range r.KVs {
			b.put(&r.KVs[i])
		}
		if !r.More || len(r.KVs) == 0 {
			return revision, nil
		}
		next.Start = r.KVs[len(r.KVs)-1].Key + "\x00"
	}
}
