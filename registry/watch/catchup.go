package watch

import "herald/registry"

// catchUp reads the next stretch of the history for a watcher that is behind, and
// puts it back into the hub's flow once there is nothing left to read. It returns
// what the watcher wants of the stretch, which may be nothing. Only Next calls it.
func (w *watcher) catchUp() ([]registry.Commit, error) {
	v := w.hub.newestState()
	w.mu.Lock()
	from := w.next // only this goroutine moves it, while behind
	w.mu.Unlock()
	to := min(v.Revision(w.space), from+int64(w.hub.cfg.CatchUp)-1)

	var commits []registry.Commit
	if from <= to {
		bytes := 0
		last := to
		err := v.Commits(w.space, from, to, func(c registry.Commit) bool {
			wanted := w.wanted(&c)
			if wanted == nil {
				return true
			}
			commits = append(commits, *wanted)
			bytes += sizeOf(wanted)
			if len(commits) < w.limit && bytes < w.hub.cfg.BufferBytes {
				return true
			}
			last = c.Revision
			return false
		})
		if err != nil {
			w.end(err)
			return nil, w.ended()
		}
		w.mu.Lock()
		if w.err != nil {
			defer w.mu.Unlock()
			return nil, w.err
		}
		w.next = last + 1
		if len(commits) > 0 {
			w.returning = commits[0].Revision
		}
		w.mu.Unlock()
	}
	w.join()
	return commits, nil
}

// wanted is what the watcher wants of a commit, nil if nothing.
func (w *watcher) wanted(c *registry.Commit) *registry.Commit {
	lo, hi := span(c.Events, w.keys)
	switch {
	case lo < hi:
		found := *c // for who wants nothing of it, c stays where it is
		return w.filter.narrow(&found, lo, hi)
	case w.empties && len(c.Events) == 0:
		found := *c
		return &found
	}
	return nil
}

// join puts the watcher back into the hub's flow if it has read all that the hub has
// handed out. What it has read beyond that, the hub's flow skips.
func (w *watcher) join() {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next > h.delivered[w.space].Load() {
		w.behind = false
		w.synced = max(w.synced, w.next-1)
	}
}

func (w *watcher) ended() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
