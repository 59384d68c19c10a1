package workload

import (
	"context"
	"errors"
	"time"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// watcher is a client that watches, with one watcher of the store after the other.
type watcher struct {
	*client
	watching
	next int64 // the first revision that was not seen yet
}

const (
	// lookAround is how long a watcher is waited for before the client looks whether it
	// has seen everything.
	lookAround = 500 * time.Millisecond
	// boredom is after how long without a commit a client asks another server.
	boredom = 10 * time.Second
	// wayBack is how far back in history a restless client begins at most, in revisions.
	wayBack = 60
)

// run watches until everything that was written has been seen.
func (w *watcher) run(ctx context.Context) {
	w.next = 1 // from the beginning, unless it is compacted by now
	for ctx.Err() == nil && !w.finished(w.next) {
		s := w.anyone()
		from := w.next
		if w.restless && w.chance(50) {
			from = max(1, from-w.rng.Int64N(wayBack))
		}
		err := w.watch(ctx, s, from)
		if from == w.next && (errors.Is(err, registry.ErrCompacted) || errors.Is(err, registry.ErrWatchReset)) {
			w.list(ctx, s)
		}
		if err != nil {
			sleep(ctx, 100*time.Millisecond)
		}
	}
	end := history.Streamed{Step: history.Finished, Space: w.space, Synced: w.next - 1}
	if last, ok := w.lastOf(w.space); ok {
		end.From = last
	}
	w.record(end)
}

// finished reports whether writing has ended and nothing from next on is to come.
func (w *watcher) finished(next int64) bool {
	last, ok := w.lastOf(w.space)
	return ok && last < next
}

func (w *watcher) record(s history.Streamed) {
	s.Client, s.At = w.id, w.rec.Now()
	w.rec.Append(s)
}

// watch makes a watcher and records what it delivers, until it ends, the client has had
// enough of it, or all has been seen.
func (w *watcher) watch(ctx context.Context, s *server, from int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	via := "store"
	if w.space == registry.SpaceKV && s.Etcd != nil && w.chance(50) {
		via = "etcd"
	}
	stream, err := s.over(via).Watch(ctx, registry.WatchRequest{Space: w.space, KeyRange: w.keys, StartRevision: from, Buffer: w.buffer()})
	if err != nil {
		return err
	}
	defer stream.Close()
	w.record(history.Streamed{Step: history.Begun, Node: s.Name, Via: via, Space: w.space, Start: w.keys.Start, End: w.keys.End, From: from})
	end := history.Streamed{Step: history.Ended, Node: s.Name}
	end.Synced, err = w.consume(ctx, stream, s)
	if err != nil {
		end.Err = err.Error()
	}
	w.next = max(w.next, end.Synced+1)
	w.record(end)
	return err
}

// buffer is small for a slow client, so that it has to be caught up from history.
func (w *watcher) buffer() int {
	if w.slow > 0 {
		return 4
	}
	return 0
}

// consume records what a watcher delivers. It returns up to where that is everything.
func (w *watcher) consume(ctx context.Context, stream registry.Watcher, s *server) (synced int64, err error) {
	last := w.rec.Now()
	for {
		waiting, cancel := context.WithTimeout(ctx, lookAround)
		commits, err := stream.Next(waiting)
		cancel()
		switch {
		case err == nil:
			last = w.rec.Now()
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return max(synced, stream.Synced()), err
		}
		for i := range commits {
			w.delivered(&commits[i], s)
			synced = max(synced, commits[i].Revision)
		}
		if len(commits) == 0 {
			synced = max(synced, stream.Synced())
		}
		bored := w.rec.Now()-last > boredom
		if bored || w.finished(synced+1) || w.restless && w.chance(3) {
			return synced, nil
		}
		if w.dawdles() && len(commits) > 0 && !sleep(ctx, time.Duration(w.rng.Int64N(int64(w.slow)))) {
			return synced, ctx.Err()
		}
	}
}

// dawdles reports whether the client is slow. When writing has ended it hurries up.
func (w *watcher) dawdles() bool {
	_, over := w.lastOf(w.space)
	return w.slow > 0 && !over
}

func (w *watcher) delivered(c *registry.Commit, s *server) {
	rec := history.Streamed{Step: history.Delivered, Node: s.Name, Rev: c.Revision, Changes: make([]history.Change, len(c.Events))}
	for i := range c.Events {
		e := &c.Events[i]
		ch := history.Change{Key: e.KV.Key, Delete: e.Type == registry.EventDelete, Mod: e.KV.ModRevision}
		if !ch.Delete {
			ch.Create, ch.Version = e.KV.CreateRevision, e.KV.Version
			if w.space == registry.SpaceKV {
				ch.Value = string(e.KV.Value)
			}
		}
		if e.Prev != nil {
			ch.Prev = e.Prev.ModRevision
		}
		rec.Changes[i] = ch
	}
	w.record(rec)
}

// list finds out what there is, where it cannot be followed any more.
func (w *watcher) list(ctx context.Context, s *server) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Patience)
	defer cancel()
	res, err := s.Store.Range(ctx, registry.RangeRequest{Space: w.space, KeyRange: w.keys, CountOnly: true})
	if err != nil {
		return // the next watcher fails as this one did
	}
	w.next = res.Revision + 1
	w.record(history.Streamed{
		Step: history.ListedAt, Node: s.Name, Space: w.space, Start: w.keys.Start, End: w.keys.End, From: w.next, Count: res.Count,
	})
}
