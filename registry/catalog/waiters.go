package catalog

import (
	"container/heap"
	"sync"
)

// waiters are those who wait for a topic to rise, or for a revision to be
// contained. Each topic that is waited for has one channel, which is closed when
// the topic rises; it exists only while someone waits.
type waiters struct {
	mu        sync.Mutex // for all below; held for map operations only
	topics    map[Topic]*topicWait
	revisions revisionHeap
}

type topicWait struct {
	rose chan struct{}
	n    int // how many wait
}

func newWaiters() *waiters { return &waiters{topics: map[Topic]*topicWait{}} }

// joinLocked makes the caller wait for t, which is folded.
func (w *waiters) joinLocked(t Topic) *topicWait {
	tw := w.topics[t]
	if tw == nil {
		tw = &topicWait{rose: make(chan struct{})}
		w.topics[t] = tw
	}
	tw.n++
	return tw
}

// leave is called by one who gives up waiting.
func (w *waiters) leave(t Topic, tw *topicWait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if tw.n--; tw.n == 0 && w.topics[t] == tw {
		delete(w.topics, t)
	}
}

// wake wakes those who wait for a topic that b raised, and for a revision up to
// revision. The index that b made must be visible already.
func (w *waiters) wake(b *builder, revision int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	everyone := b.raised == nil
	switch {
	case len(w.topics) == 0:
	case everyone || b.absent[0] || b.absent[1]:
		// A topic that did not rise is looked at again and waited for again.
		for t := range w.topics {
			if _, rose := b.raised[t]; rose || everyone || t.Kind == KindService && b.absent[0] || t.Kind == KindNode && b.absent[1] {
				w.wakeLocked(t)
			}
		}
	default:
		for t := range b.raised {
			w.wakeLocked(t)
		}
	}
	for len(w.revisions) > 0 && w.revisions[0].revision <= revision {
		r := heap.Pop(&w.revisions).(*revisionWait)
		close(r.reached)
	}
}

func (w *waiters) wakeLocked(t Topic) {
	if tw := w.topics[t]; tw != nil {
		delete(w.topics, t)
		close(tw.rose)
	}
}

// joinRevisionLocked makes the caller wait for a revision.
func (w *waiters) joinRevisionLocked(revision int64) *revisionWait {
	r := &revisionWait{revision: revision, reached: make(chan struct{})}
	heap.Push(&w.revisions, r)
	return r
}

// leaveRevision is called by one who gives up waiting.
func (w *waiters) leaveRevision(r *revisionWait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.at >= 0 {
		heap.Remove(&w.revisions, r.at)
	}
}

// empty reports whether nobody waits.
func (w *waiters) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.topics) == 0 && len(w.revisions) == 0
}

// revisionHeap has the lowest revision first.
type revisionHeap []*revisionWait

type revisionWait struct {
	revision int64
	reached  chan struct{}
	at       int // place in the heap, -1 once it left
}

func (h revisionHeap) Len() int           { return len(h) }
func (h revisionHeap) Less(i, j int) bool { return h[i].revision < h[j].revision }
func (h revisionHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *revisionHeap) Push(v any) {
	r := v.(*revisionWait)
	r.at = len(*h)
	*h = append(*h, r)
}

func (h *revisionHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	r.at = -1
	return r
}
