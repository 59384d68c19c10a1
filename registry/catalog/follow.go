package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"herald/registry"
)

// How long Follow waits after an error before it tries again: this, doubled each
// time in a row, up to the most.
const (
	retryFirst = 50 * time.Millisecond
	retryMost  = 2 * time.Second
)

// confirmedPoll is how often Follow asks whether the store has heard from a leader.
const confirmedPoll = 10 * time.Millisecond

// pageKeys is how many keys are read from the store at a time.
const pageKeys = 4096

// Follow feeds the catalog from a store until ctx ends, and then returns nil. It
// returns registry.ErrStopped if the store stops; it outlasts every other error
// by trying again.
//
// Before it first reads the catalog it waits for the store to have heard from a
// leader, for a bounded time (see WithBootWait); meanwhile the index is the empty
// one, at revision 0.
//
// At first it reads the catalog as it stood at the lowest revision that the
// history reaches back to and applies the commits since, all before it publishes
// anything, so that topics have the revisions they had before a restart. Where
// history is not to be had it reads what there is now, and every topic begins
// there. After the store was restored, or has compacted what was not seen yet,
// it reads anew and applies the differences as one commit. Should the store have
// gone back to an earlier revision, topics go on from where they were: their
// revisions are then above the store's.
func (c *Catalog) Follow(ctx context.Context, s registry.Store) error {
	retry := retryFirst
	f := follower{c: c, s: s, unconfirmedFrom: time.Now().Add(c.bootWait)}
	for {
		err := f.follow(ctx)
		c.lostTouch()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, registry.ErrStopped):
			return fmt.Errorf("following the catalog: %w", err)
		}
		if f.progress {
			retry, f.progress = retryFirst, false
			if f.anew {
				c.log.Info("the catalog is read anew", "revision", c.Index().Revision(), "reason", err)
				continue
			}
		}
		c.log.Warn("the catalog cannot be followed; trying again", "in", retry, "error", err)
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

// follower is one run of Follow.
type follower struct {
	c *Catalog
	s registry.Store
	// unconfirmedFrom is when the catalog is read even if the store has heard from no
	// leader.
	unconfirmedFrom time.Time
	// anew says that the index must be compared with the whole store before the
	// watch can go on.
	anew bool
	// progress says that something worked since it was last cleared.
	progress bool
}

// follow brings the index up to date and keeps it so until an error.
func (f *follower) follow(ctx context.Context) error {
	var err error
	switch {
	case f.c.Index().Revision() == 0:
		err = f.boot(ctx)
	case f.anew:
		err = f.reread(ctx)
	}
	if err != nil {
		return err
	}
	w, err := f.watch(ctx, f.c.Index().Revision()+1)
	if err != nil {
		f.note(err)
		return err
	}
	defer w.Close()
	// The watch begins with what was missed, if anything was.
	behind := f.c.Index().Revision() < w.StartedAt()
	if !behind {
		f.c.touch.Store(f.c.inTouch(ctx, f.s))
	}
	for {
		commits, err := w.Next(ctx)
		if err != nil {
			f.note(err)
			return err
		}
		f.progress = true
		b := f.c.Index().edit(f.c.countMalformed)
		for i := range commits {
			b.commit(commits[i].Revision, commits[i].Events)
		}
		var t *touch
		if behind && b.x.revision >= w.StartedAt() {
			behind, t = false, f.c.inTouch(ctx, f.s)
		}
		f.c.publish(b, t)
	}
}

// note remembers an error after which the watch cannot go on from where it was.
func (f *follower) note(err error) {
	if errors.Is(err, registry.ErrWatchReset) || errors.Is(err, registry.ErrCompacted) {
		f.anew = true
	}
}

// boot reads the catalog for the first time.
func (f *follower) boot(ctx context.Context) error {
	if err := f.awaitConfirmed(ctx); err != nil {
		return err
	}
	t := f.c.inTouch(ctx, f.s)
	b, err := f.replay(ctx)
	if errors.Is(err, registry.ErrCompacted) || errors.Is(err, registry.ErrWatchReset) {
		// History went while it was being read.
		b, err = f.base(ctx, 0)
	}
	if err != nil {
		return err
	}
	b.raised = nil
	f.c.publish(b, t)
	f.progress, f.anew = true, false
	return nil
}

// awaitConfirmed blocks until the store has caught up with a leader since it was
// opened, or has had its time to without knowing of any.
func (f *follower) awaitConfirmed(ctx context.Context) error {
	poll := time.NewTicker(confirmedPoll)
	defer poll.Stop()
	for {
		age, err := storeAge(ctx, f.s)
		if err != nil || age != unknownAge {
			return err
		}
		now := time.Now()
		if f.c.cluster != nil {
			// A leader will say what of the log counts. Without one nobody knows, and the state
			// lacks it all: to say of a service that is in there that it does not exist
			// would be worse than to say nothing.
			if st := f.c.cluster.Status(); st.Leader != "" || st.Applied < st.LastIndex {
				f.unconfirmedFrom = now.Add(f.c.bootWait)
			}
		}
		if !now.Before(f.unconfirmedFrom) {
			f.c.log.Warn("no leader was heard since the start; the catalog is served as this server last knew it", "waited", f.c.bootWait)
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// replay builds the index from the oldest state that can be read and the commits
// since, up to the revision the store had when it began.
func (f *follower) replay(ctx context.Context) (*builder, error) {
	// An empty space is at revision 1.
	b := f.c.startAt(1)
	from := int64(2)
	w, err := f.watch(ctx, from)
	var compacted *registry.CompactedError
	if errors.As(err, &compacted) {
		if b, err = f.base(ctx, compacted.Lowest); err != nil {
			return nil, err
		}
		from = compacted.Lowest + 1
		w, err = f.watch(ctx, from)
	}
	if err != nil {
		return nil, err
	}
	defer w.Close()
	for b.x.revision < w.StartedAt() {
		commits, err := w.Next(ctx)
		if err != nil {
			return nil, err
		}
		for i := range commits {
			b.commit(commits[i].Revision, commits[i].Events)
		}
	}
	return b, nil
}

// watch follows every revision, those without events too: a reader may have been told of any.
func (f *follower) watch(ctx context.Context, from int64) (registry.Watcher, error) {
	return f.s.Watch(ctx, registry.WatchRequest{
		Space: registry.SpaceCatalog, KeyRange: registry.All(), StartRevision: from, WithEmpty: true,
	})
}

// base builds the index as it stood at a revision, 0 for now. All topics are at
// that revision.
func (f *follower) base(ctx context.Context, revision int64) (*builder, error) {
	var b *builder
	err := f.read(ctx, revision, func(revision int64, kvs []registry.KeyValue) {
		if b == nil {
			b = f.c.startAt(revision)
		}
		b.commit(revision, puts(kvs))
	})
	return b, err
}

// startAt begins an index whose topics are all at a revision.
func (c *Catalog) startAt(revision int64) *builder {
	x := emptyIndex()
	x.revision = revision
	x.servicesRevision, x.nodesRevision, x.checksRevision = revision, revision, revision
	x.goneServices.rest, x.goneNodes.rest = revision, revision
	b := x.edit(c.countMalformed)
	b.raised = nil
	return b
}

func puts(kvs []registry.KeyValue) []registry.Event {
	events := make([]registry.Event, len(kvs))
	for i := range kvs {
		events[i] = registry.Event{Type: registry.EventPut, KV: kvs[i]}
	}
	return events
}

// reread brings the index in line with what the store holds now, as one commit
// of the differences.
func (f *follower) reread(ctx context.Context) error {
	x := f.c.Index()
	t := f.c.inTouch(ctx, f.s)
	var events []registry.Event
	var now int64
	seen := map[string]struct{}{}
	err := f.read(ctx, 0, func(revision int64, kvs []registry.KeyValue) {
		now = revision
		for i := range kvs {
			seen[kvs[i].Key] = struct{}{}
			if !x.holds(&kvs[i]) {
				events = append(events, registry.Event{Type: registry.EventPut, KV: kvs[i]})
			}
		}
	})
	if err != nil {
		return err
	}
	x.eachKey(func(key string) {
		if _, ok := seen[key]; !ok {
			events = append(events, registry.Event{
				Type: registry.EventDelete, KV: registry.KeyValue{Key: key, ModRevision: now},
			})
		}
	})
	b := x.edit(f.c.countMalformed)
	// Topics must rise by the differences, also if the store's revision did not.
	// Without differences it is enough that they will rise with the next commit.
	needs := x.highest()
	if len(events) > 0 {
		needs++
	}
	b.x.offset = max(x.offset, needs-now)
	b.commit(now, events)
	f.c.publish(b, t)
	f.progress, f.anew = true, false
	return nil
}

// read calls page with everything in the catalog's space as it stood at a
// revision, 0 for now, a part at a time; at least once. Every part is of the
// same revision.
func (f *follower) read(ctx context.Context, revision int64, page func(revision int64, kvs []registry.KeyValue)) error {
	next := registry.All()
	for {
		r, err := f.s.Range(ctx, registry.RangeRequest{
			Space: registry.SpaceCatalog, KeyRange: next, Revision: revision,
			Limit: pageKeys, SkipCount: true, Consistency: registry.Stale,
		})
		if err != nil {
			return err
		}
		if revision <= 0 {
			revision = r.Revision
		}
		page(revision, r.KVs)
		if !r.More || len(r.KVs) == 0 {
			return nil
		}
		next = registry.From(r.KVs[len(r.KVs)-1].Key + "\x00")
	}
}
