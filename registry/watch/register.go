package watch

import (
	"context"
	"fmt"

	"herald/registry"
)

// Watch adds a watcher, which lives until it is closed, until ctx ends (its Next
// then returns ctx's error), or until the hub ends it. It fails with
// registry.ErrInvalid for a request that makes no sense, registry.ErrEmptyKey for
// the range of the one empty key, *registry.CompactedError for a start that was
// compacted, ctx's error, and registry.ErrStopped once the hub is closed.
func (h *Hub) Watch(ctx context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := check(&r); err != nil {
		return nil, err
	}
	limit := r.Buffer
	if limit == 0 {
		limit = h.cfg.Buffer
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, registry.ErrStopped
	}
	// Under mu the hub is not in the middle of a commit, and what it has handed out is
	// never beyond the newest state: each commit after it will pass this watcher.
	v := h.newestState()
	w := &watcher{
		hub:     h,
		space:   r.Space,
		keys:    r.KeyRange,
		filter:  filterOf(&r),
		empties: r.WithEmpty && !r.Empty(),
		limit:   limit,
		started: v.Revision(r.Space),
		ready:   make(chan struct{}, 1),
		notify:  r.Ready,
	}
	switch lowest := v.Compacted(r.Space); {
	case r.StartRevision == 0:
		w.next = w.started + 1
	case r.StartRevision < lowest:
		return nil, &registry.CompactedError{Space: r.Space, Lowest: lowest}
	default:
		w.next = r.StartRevision
		w.behind = w.next <= w.started
	}
	w.synced = min(w.next-1, w.started)

	h.watchers[w] = struct{}{}
	h.spaces[r.Space].add(w)
	if ctx.Done() != nil {
		h.working.Add(1)
		// It may run before AfterFunc returns, but waits for h.mu.
		stop := context.AfterFunc(ctx, func() {
			defer h.working.Done()
			w.end(ctx.Err())
		})
		w.unhook = func() {
			if stop() {
				h.working.Done()
			}
		}
	}
	return w, nil
}

func check(r *registry.WatchRequest) error {
	switch {
	case !r.Space.Valid():
		return fmt.Errorf("%w: watch of %s, which does not exist", registry.ErrInvalid, r.Space)
	case r.StartRevision < 0:
		return fmt.Errorf("%w: watch from revision %d: give 0 for what comes next, or a revision", registry.ErrInvalid, r.StartRevision)
	case r.Buffer < 0:
		return fmt.Errorf("%w: watch with a buffer of %d commits: give 0 for the default, or a number", registry.ErrInvalid, r.Buffer)
	case r.KeyRange == registry.One(""):
		return fmt.Errorf("%w: give a key or a range to watch", registry.ErrEmptyKey)
	}
	return nil
}

// remove takes w off the hub.
func (h *Hub) remove(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.watchers[w]; ok {
		delete(h.watchers, w)
		h.spaces[w.space].remove(w)
	}
}
