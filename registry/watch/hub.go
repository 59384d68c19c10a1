package watch

import (
	"sync"
	"sync/atomic"

	"herald/registry"
)

// History is one immutable state of the history of commits. Revisions are dense:
// every one from 2 to Revision is a commit, unless it was compacted.
type History interface {
	// Revision is a space's current revision; 1 when nothing was ever written.
	Revision(registry.Space) int64
	// Compacted is the lowest revision that Commits can start from.
	Compacted(registry.Space) int64
	// Commits calls yield with the commits of a space from one revision to another,
	// both included, in order, until yield returns false. It fails with a
	// *registry.CompactedError if from lies below Compacted.
	Commits(space registry.Space, from, to int64, yield func(registry.Commit) bool) error
}

// maxPending bounds how many states wait for the hub's goroutine. See Publish.
const maxPending = 256

// Hub fans applied commits out to watchers. Its methods may be called by any
// number of goroutines, but Publish and Reset only by the one that applies.
type Hub struct {
	cfg Config

	// pub guards what Publish leaves for others.
	pub    sync.Mutex
	newest History
	// pending are states that the goroutine has yet to hand out, oldest first.
	pending []History

	wake    chan struct{} // one slot: pending is not empty
	quit    chan struct{}
	working sync.WaitGroup // the goroutine, and those of ended contexts

	// mu guards the watchers, and makes the hand-out of one commit atomic to those
	// who register or leave.
	mu       sync.Mutex
	closed   bool
	epoch    int64 // counts Reset and Close: what began before is void
	spaces   [registry.NumSpaces]index
	watchers map[*watcher]struct{}
	// delivered is the revision of each space up to which every commit is in
	// the buffers of those who watch for it. It is written under mu.
	delivered [registry.NumSpaces]atomic.Int64

	leftBehind atomic.Uint64
}

// NewHub starts a hub whose watchers see what follows h.
func NewHub(h History, cfg Config) *Hub {
	hub := newHub(h, cfg)
	hub.working.Go(hub.run)
	return hub
}

// newHub makes a hub that hands out nothing until step is called.
func newHub(h History, cfg Config) *Hub {
	hub := &Hub{
		cfg:      cfg.withDefaults(),
		newest:   h,
		wake:     make(chan struct{}, 1),
		quit:     make(chan struct{}),
		watchers: make(map[*watcher]struct{}),
	}
	hub.deliveredIs(h)
	return hub
}

// Publish makes v, in which no revision is lower than in what was published before,
// the state that watchers see. It does no work that grows with the watchers
// or with the commits, and waits for neither.
//
// A write must be published before it is acknowledged: a watch that begins after
// the acknowledgement then begins after the write. What is written should be published
// before a compaction is applied; a state that was compacted beyond what the hub
// was given before leaves watchers behind, and those it cannot catch up fail.
func (h *Hub) Publish(v History) {
	h.pub.Lock()
	h.newest = v
	// The newest state holds all that an older one does, but for what was compacted
	// in between; only then is the older one needed. Beyond maxPending the
	// goroutine is stuck for many compactions, and watchers are left behind.
	if n := len(h.pending); n > 0 && (n == maxPending || !compactedBetween(h.pending[n-1], v)) {
		h.pending[n-1] = v
	} else {
		h.pending = append(h.pending, v)
	}
	h.pub.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func compactedBetween(older, newer History) bool {
	for s := range registry.Space(registry.NumSpaces) {
		if older.Compacted(s) != newer.Compacted(s) {
			return true
		}
	}
	return false
}

// Reset replaces the history by one that need not follow from it. Every watcher
// ends with registry.ErrWatchReset, whatever it had not returned yet; new ones see
// what follows v.
func (h *Hub) Reset(v History) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	// The watchers end before the new state can be seen: one that is reading the
	// history then finds that it has ended before it returns anything of the new one.
	h.endAllLocked(registry.ErrWatchReset)
	h.pub.Lock()
	h.newest = v
	h.pending = nil
	h.pub.Unlock()
	h.deliveredIs(v)
}

// Close ends all watchers with registry.ErrStopped and waits for the hub's
// goroutines. It may be called more than once.
func (h *Hub) Close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		h.endAllLocked(registry.ErrStopped)
		close(h.quit)
	}
	h.mu.Unlock()
	h.working.Wait()
}

func (h *Hub) endAllLocked(err error) {
	h.epoch++
	for w := range h.watchers {
		h.spaces[w.space].remove(w)
		w.finish(err)
	}
	clear(h.watchers)
}

func (h *Hub) deliveredIs(v History) {
	for s := range registry.Space(registry.NumSpaces) {
		h.delivered[s].Store(v.Revision(s))
	}
}

func (h *Hub) newestState() History {
	h.pub.Lock()
	defer h.pub.Unlock()
	return h.newest
}

// Stats are the figures of a hub, for metrics.
type Stats struct {
	// Watchers is how many watchers there are now.
	Watchers int
	// LeftBehind counts how often a watcher's buffer was full, so that it had
	// to be caught up from the history.
	LeftBehind uint64
	// Lag is how many revisions, over all spaces, are published but not yet in
	// the buffers of watchers.
	Lag int64
}

// Stats returns the hub's figures as they are now.
func (h *Hub) Stats() Stats {
	s := Stats{LeftBehind: h.leftBehind.Load()}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Watchers = len(h.watchers)
	v := h.newestState()
	for space := range registry.Space(registry.NumSpaces) {
		s.Lag += v.Revision(space) - h.delivered[space].Load()
	}
	return s
}
