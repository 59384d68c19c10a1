package watch

import (
	"context"
	"sync"

	"herald/registry"
)

// keepBuffer is the largest buffer, in commits, that a watcher keeps for reuse.
const keepBuffer = 64

// watcher is a registry.Watcher.
type watcher struct {
	hub     *Hub
	space   registry.Space
	keys    registry.KeyRange
	filter  filter
	empties bool  // it wants commits without events
	limit   int   // commits in buf
	started int64 // the space's revision at registration
	ready   chan struct{}
	notify  func() // WatchRequest.Ready; may be nil
	unhook  func() // takes the watcher off its context; nil if that never ends

	// Where the hub has it; guarded by hub.mu.
	spot  *spot
	place int

	// spare is an emptied buf, for Next alone.
	spare []*registry.Commit

	mu sync.Mutex
	// buf are the commits to be returned, oldest first, and bytes their size.
	buf   []*registry.Commit
	bytes int
	// behind says that the hub appends nothing, because buf was full or because
	// the watcher starts in the past. Next moves it.
	behind bool
	// next is the lowest revision that belongs to this watcher after buf: while behind
	// it is where Next reads on from, else the hub skips what lies below it.
	next int64
	// synced is a revision up to which everything had been returned when the watcher
	// last joined the hub's flow, or ended.
	synced int64
	// returning is the revision of the first commit that the last Next returned, 0
	// once Next was called again.
	returning int64
	err       error
}

// StartedAt is part of registry.Watcher.
func (w *watcher) StartedAt() int64 { return w.started }

// Next is part of registry.Watcher.
func (w *watcher) Next(ctx context.Context) ([]registry.Commit, error) {
	for {
		if err := ctx.Err(); err != nil {
			w.mu.Lock()
			w.returning = 0
			w.mu.Unlock()
			return nil, err
		}
		commits, behind, err := w.take()
		if len(commits) > 0 || err != nil {
			return commits, err
		}
		if behind {
			commits, err = w.catchUp()
			if len(commits) > 0 || err != nil {
				return commits, err
			}
			continue
		}
		select {
		case <-w.ready:
		case <-ctx.Done():
		}
	}
}

// Poll is part of registry.Watcher.
func (w *watcher) Poll() ([]registry.Commit, error) {
	commits, behind, err := w.take()
	if len(commits) > 0 || err != nil || !behind {
		return commits, err
	}
	commits, err = w.catchUp()
	if len(commits) > 0 || err != nil {
		return commits, err
	}
	// More of the history is to be read, which nobody will say.
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.behind || len(w.buf) > 0 || w.err != nil {
		w.signal()
	}
	return nil, nil
}

// take empties the buffer.
func (w *watcher) take() (commits []registry.Commit, behind bool, err error) {
	w.mu.Lock()
	w.returning = 0
	if w.err != nil || len(w.buf) == 0 {
		behind, err = w.behind, w.err
		w.mu.Unlock()
		return nil, behind, err
	}
	taken := w.buf
	w.buf, w.bytes = w.spare, 0
	w.returning = taken[0].Revision
	w.mu.Unlock()

	// The hub has its own buffer back; the copying is this goroutine's.
	commits = make([]registry.Commit, len(taken))
	for i, c := range taken {
		commits[i] = *c
	}
	w.spare = nil
	if cap(taken) <= keepBuffer {
		clear(taken)
		w.spare = taken[:0]
	}
	return commits, false, nil
}

// deliver appends a commit that the hub hands out. It returns false if that left the
// watcher behind.
func (w *watcher) deliver(c *registry.Commit, size int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.behind || c.Revision < w.next || w.err != nil {
		return true
	}
	if n := len(w.buf); n > 0 && (n >= w.limit || w.bytes+size > w.hub.cfg.BufferBytes) {
		w.behind = true
		w.next = c.Revision + bugAtSeam
		return false
	}
	w.buf = append(w.buf, c)
	w.bytes += size
	if len(w.buf) == 1 {
		w.signal()
	}
	return true
}

// fallBehind makes the watcher read from the history, unless it wants none of
// the revisions from first to last. It reports whether it was caught up before.
func (w *watcher) fallBehind(first, last int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.behind || w.next > last || w.err != nil {
		return false
	}
	w.behind = true
	w.next = max(w.next, first)
	w.signal()
	return true
}

// signal wakes a Next that waits, and whoever polls.
func (w *watcher) signal() {
	if w.notify != nil {
		w.notify()
	}
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// Synced is part of registry.Watcher.
func (w *watcher) Synced() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.syncedLocked()
}

func (w *watcher) syncedLocked() int64 {
	switch {
	case w.err != nil:
		return w.synced
	case w.returning > 0:
		return w.returning - 1
	case len(w.buf) > 0:
		return w.buf[0].Revision - 1
	case w.behind:
		return w.next - 1
	default:
		// The hub raises this only after it has appended, which takes mu.
		return max(w.synced, w.hub.delivered[w.space].Load())
	}
}

// Close is part of registry.Watcher.
func (w *watcher) Close() { w.end(registry.ErrWatchClosed) }

// end takes the watcher off the hub and makes every further Next return err, unless
// it has ended already.
func (w *watcher) end(err error) {
	w.hub.remove(w)
	w.finish(err)
}

// finish is end for a watcher that is off the hub.
func (w *watcher) finish(err error) {
	w.mu.Lock()
	ended := w.err != nil
	if !ended {
		// What is dropped now is not returned, and never will be.
		w.synced = w.syncedLocked()
		w.err = err
		w.buf, w.bytes = nil, 0
		w.signal()
	}
	w.mu.Unlock()
	if !ended && w.unhook != nil {
		w.unhook()
	}
}
