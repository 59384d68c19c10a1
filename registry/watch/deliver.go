package watch

import "herald/registry"

// run hands out what is published until the hub is closed.
func (h *Hub) run() {
	for {
		select {
		case <-h.quit:
			return
		case <-h.wake:
			h.step()
		}
	}
}

// step hands out all that is pending. One goroutine at a time may call it.
func (h *Hub) step() {
	h.mu.Lock()
	epoch := h.epoch
	h.pub.Lock()
	pending := h.pending
	h.pending = nil
	h.pub.Unlock()
	h.mu.Unlock()
	for _, v := range pending {
		for space := range registry.Space(registry.NumSpaces) {
			if !h.deliver(v, space, epoch) {
				return
			}
		}
	}
}

// deliver hands out the commits of v that are new in one space. It returns false if
// the hub was reset or closed meanwhile.
func (h *Hub) deliver(v History, space registry.Space, epoch int64) bool {
	to := v.Revision(space)
	from := h.delivered[space].Load() + 1
	if from > to {
		return true
	}
	if h.unwatched(space) {
		return h.advance(space, to, epoch)
	}
	current := true
	err := v.Commits(space, from, to, func(c registry.Commit) bool {
		current = h.fanOut(space, &c, epoch)
		return current
	})
	if !current {
		return false
	}
	if err != nil {
		// The history no longer has what comes next. Each watcher finds out for itself
		// whether that is something it still needed.
		return h.leaveBehind(space, to, epoch)
	}
	return h.advance(space, to, epoch)
}

// unwatched reports whether nobody watches a space.
func (h *Hub) unwatched(space registry.Space) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.spaces[space].watchers == 0
}

// fanOut hands out one commit.
func (h *Hub) fanOut(space registry.Space, c *registry.Commit, epoch int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.epoch != epoch {
		return false
	}
	x := &h.spaces[space]
	if len(c.Events) == 0 && len(x.empties) > 0 {
		shared := new(registry.Commit)
		*shared = *c
		for w := range x.empties {
			h.deliverTo(w, shared, 0)
		}
	}
	if touched := x.match(c.Events); len(touched) > 0 {
		// A copy that may outlive the call: buffers point to it.
		shared := new(registry.Commit)
		*shared = *c
		for _, s := range touched {
			for f := range s.groups {
				h.fanOutGroup(&s.groups[f], filter(f).narrow(shared, s.lo, s.hi))
			}
		}
		x.release()
	}
	h.delivered[space].Store(c.Revision)
	return true
}

func (h *Hub) fanOutGroup(g *group, c *registry.Commit) {
	if c == nil || len(g.watchers) == 0 {
		return
	}
	size := sizeOf(c)
	for _, w := range g.watchers {
		h.deliverTo(w, c, size)
	}
}

func (h *Hub) deliverTo(w *watcher, c *registry.Commit, size int) {
	if !w.deliver(c, size) {
		h.leftBehind.Add(1)
	}
}

// advance notes that everything up to a revision has been handed out.
func (h *Hub) advance(space registry.Space, to, epoch int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.epoch != epoch {
		return false
	}
	h.delivered[space].Store(to)
	return true
}

// leaveBehind makes the watchers of a space read all up to a revision from the history
// themselves.
func (h *Hub) leaveBehind(space registry.Space, to, epoch int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.epoch != epoch {
		return false
	}
	first := h.delivered[space].Load() + 1
	for w := range h.watchers {
		if w.space == space && w.fallBehind(first, to) {
			h.leftBehind.Add(1)
		}
	}
	h.delivered[space].Store(to)
	return true
}
