package raftstore

import (
	"container/heap"
	"slices"
	"sync"
	"time"

	"herald/registry"
	"herald/registry/mvcc"
)

// leaseClock is the leader's knowledge of when leases end. None of it is
// replicated: a lease's replicated state is its TTL, and at most a checkpoint of
// what remained of it.
//
// Its time is virtual: it moves by ticks, and only by ticks at which leadership was
// confirmed by a quorum. What passes while the process is stalled or the quorum is
// lost is charged to no lease (but for MaxStep). So a client that keeps trying
// never loses its lease for a fault of the servers.
//
// Why a renewed lease is never revoked:
//
//   - Within a term. A lease is picked for expiry under mu, when its deadline has
//     passed, and is marked. A keepalive moves the deadline under mu, unless the
//     lease is marked; then it waits until it is certain what became of the
//     revocation. So either the keepalive comes first, and the lease is not picked, or
//     the mark does, and the keepalive is answered with what happened.
//   - A lease that is revoked and granted anew under the same id. A grant of an id
//     waits while that lease is marked, and while a grant is under way its id is not
//     picked. So a revocation never follows, in the log, a grant that it was not
//     meant for.
//   - Across leaders. A revocation is fenced with its leader's term (see
//     entryFormat), so it takes effect only in an entry of that term. A new leader's
//     barrier is an entry of a later term: whatever revocation comes before it in the log
//     has been applied when the new leader begins to answer keepalives, and
//     none that does not come before it can ever be committed behind it.
//   - A deposed leader that does not know it. It answers a keepalive only after
//     a quorum confirmed, later than the deadline was moved, that it leads. Whoever
//     leads next starts its clock after that, with every lease's full TTL.
//
// Late is possible, early is not: a new leader starts every lease anew, or with its
// checkpointed rest. A lease that has been checkpointed and is then renewed has
// the checkpoint taken back before the keepalive is answered.
//
// Methods may be called by any goroutine. mu is held for no longer than one
// change takes, but while a term begins: then for loading every lease.
type leaseClock struct {
	cfg LeaseConfig
	// wall reads the time; only differences are looked at, by Go's monotonic clock.
	wall func() time.Time

	mu     sync.Mutex
	active bool          // this server leads and has loaded the leases
	term   uint64        // that it leads in
	now    time.Duration // virtual; it starts anew with each term
	ticked time.Time     // when now was last brought up to date
	// ticking is up to when the tick that is under way will charge, if it is confirmed;
	// the same as ticked when none is.
	ticking time.Time
	leases  map[registry.LeaseID]*clockedLease
	due     leaseHeap
	// long are the leases that are worth a checkpoint.
	long map[registry.LeaseID]*clockedLease
	// granting counts grants under way, by id. It outlives terms.
	granting map[registry.LeaseID]int
}

// clockedLease is a lease that runs.
type clockedLease struct {
	id       registry.LeaseID
	ttl      time.Duration
	deadline time.Duration // by leaseClock.now
	// at orders the heap: the deadline when it was put there. A keepalive moves only
	// the deadline; the lease is put back when its old turn comes.
	at  time.Duration
	pos int // in the heap, -1 if not
	// pending is the command about it that is under way: a revocation or a checkpoint.
	pending *leaseBatch
	// checkpointed says that its replicated state has, or may have, a remainder.
	checkpointed bool
}

// leaseBatch is a command about leases on its way through the log. Its outcome is
// certain when done is closed.
type leaseBatch struct {
	leases []*clockedLease
	done   chan struct{}
}

func newLeaseClock(cfg LeaseConfig) *leaseClock {
	return &leaseClock{cfg: cfg, wall: now, granting: make(map[registry.LeaseID]int)}
}

// lead starts the clock with every lease of the state. The view must contain all that
// earlier leaders committed; changes applied later come through apply.
func (c *leaseClock) lead(term uint64, view func() *mvcc.View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The view is taken under mu. A change that is not in it is published after
	// this, and apply then waits for mu: none falls between.
	v := view()
	at := c.wall()
	c.active, c.term, c.now, c.ticked, c.ticking = true, term, 0, at, at
	c.loadLocked(v)
}

// reload starts every lease of a state that was restored. The commands about leases that
// the leader decided on in the state before must have been resolved.
func (c *leaseClock) reload(v *mvcc.View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active {
		c.loadLocked(v)
	}
}

// loadLocked takes up the leases of a state, of which each lives from now on.
func (c *leaseClock) loadLocked(v *mvcc.View) {
	from := c.afterLocked(0)
	n := v.Size().Leases
	c.leases = make(map[registry.LeaseID]*clockedLease, n)
	c.long = make(map[registry.LeaseID]*clockedLease)
	c.due = make(leaseHeap, 0, n)
	v.Leases(func(s mvcc.LeaseState) bool {
		l := &clockedLease{id: s.ID, ttl: s.TTL, deadline: from + s.TTL, pos: -1}
		if s.After != 0 {
			l.ttl = registry.NoTTL // until its time begins
		}
		if s.Remaining > 0 {
			l.deadline, l.checkpointed = from+s.Remaining, true
		}
		if bugLeaseEarly {
			l.deadline /= 8
		}
		c.addLocked(l)
		return true
	})
	heap.Init(&c.due)
}

// addLocked adds a lease, leaving the heap to be put in order.
func (c *leaseClock) addLocked(l *clockedLease) {
	c.leases[l.id] = l
	if l.ttl == registry.NoTTL {
		return
	}
	if c.cfg.CheckpointInterval > 0 && l.ttl >= 2*c.cfg.CheckpointInterval {
		c.long[l.id] = l
	}
	l.at = l.deadline
	l.pos = len(c.due)
	c.due = append(c.due, l)
}

// follow stops the clock. Whoever waits for a batch finds that nobody leads here.
func (c *leaseClock) follow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active = false
	c.leases, c.long, c.due = nil, nil, nil
}

// apply follows the state, when leases were granted, woken or ended.
func (c *leaseClock) apply(changes []mvcc.LeaseChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.active {
		return
	}
	for _, ch := range changes {
		c.removeLocked(ch.ID)
		if !ch.Ended {
			c.addLocked(&clockedLease{id: ch.ID, ttl: ch.TTL, deadline: c.afterLocked(ch.TTL), pos: -1})
			if l := c.leases[ch.ID]; l.pos >= 0 {
				heap.Fix(&c.due, l.pos)
			}
		}
	}
}

func (c *leaseClock) removeLocked(id registry.LeaseID) {
	l := c.leases[id]
	if l == nil {
		return
	}
	delete(c.leases, id)
	delete(c.long, id)
	if l.pos >= 0 {
		heap.Remove(&c.due, l.pos)
	}
}

// step is what one tick charges for the time from one moment to another.
func (c *leaseClock) step(from, to time.Time) time.Duration {
	return min(max(to.Sub(from), 0), c.cfg.MaxStep)
}

// unchargedLocked is what ticks will at most charge for the time until now: the
// one that is under way, and the one after it.
func (c *leaseClock) unchargedLocked() time.Duration {
	return c.step(c.ticked, c.ticking) + c.step(c.ticking, c.wall())
}

// afterLocked is the deadline of what lives for ttl from now. What has passed and
// is not charged yet is added, since ticks to come will charge it.
func (c *leaseClock) afterLocked(ttl time.Duration) time.Duration {
	return c.now + c.unchargedLocked() + ttl
}

// beginTick says that a tick is under way that will bring the clock up to now.
// Confirming leadership, which comes between this and tick, may take long, and leases are renewed
// meanwhile: they have to know that the tick charges up to here, and that what comes after is
// another's.
func (c *leaseClock) beginTick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ticking = c.wall()
}

// tick ends the tick that beginTick began. confirmed says that leadership was
// confirmed by a quorum after beginTick; if not, nothing is charged.
func (c *leaseClock) tick(confirmed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	step := c.step(c.ticked, c.ticking)
	c.ticked = c.ticking
	if confirmed && c.active {
		c.now += step
	}
}

// renewal is how far a keepalive has come.
type renewal struct {
	term  uint64 // whose clock it was
	found bool
	ttl   time.Duration
	// wait is what has to end before it is decided; nil if it is.
	wait *leaseBatch
	// clear is a batch that the caller now has to bring through the log: it takes
	// back the lease's checkpoint. The caller then calls resolve and renews again.
	clear *leaseBatch
}

// renew starts a lease's time anew. ok is false if this server does not lead.
func (c *leaseClock) renew(id registry.LeaseID) (r renewal, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.active {
		return renewal{}, false
	}
	l := c.leases[id]
	switch {
	case l == nil:
		return renewal{term: c.term}, true
	case l.pending != nil:
		return renewal{term: c.term, wait: l.pending}, true
	case l.checkpointed:
		b := &leaseBatch{leases: []*clockedLease{l}, done: make(chan struct{})}
		l.pending = b
		return renewal{term: c.term, clear: b}, true
	}
	if l.ttl != registry.NoTTL {
		l.deadline = max(l.deadline, c.afterLocked(l.ttl))
	}
	return renewal{term: c.term, found: true, ttl: l.ttl}, true
}

// remaining is what a lease has left; 0 for one that does not run out.
func (c *leaseClock) remaining(id registry.LeaseID) (left time.Duration, found, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.leases[id]
	if !c.active || l == nil {
		return 0, false, c.active
	}
	if l.ttl == registry.NoTTL {
		return 0, true, true
	}
	return min(max(l.deadline-c.now-c.unchargedLocked(), 0), l.ttl), true, true
}

// beginGrant announces a grant of id. If that lease is being revoked, it returns
// the revocation to wait for instead, before beginGrant is called again.
func (c *leaseClock) beginGrant(id registry.LeaseID) (wait *leaseBatch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.leases[id]; l != nil && l.pending != nil {
		return l.pending
	}
	c.granting[id]++
	return nil
}

// endGrant ends what beginGrant began, when it is certain what became of the grant.
func (c *leaseClock) endGrant(id registry.LeaseID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.granting[id]--; c.granting[id] <= 0 {
		delete(c.granting, id)
	}
}

// expired picks leases whose time has run out, ExpiryBatch at most, and marks them.
// It returns nil if there are none.
func (c *leaseClock) expired() *leaseBatch {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b *leaseBatch
	for len(c.due) > 0 && c.due[0].at <= c.now {
		l := c.due[0]
		switch {
		case l.deadline > c.now:
			l.at = l.deadline
			heap.Fix(&c.due, 0)
		case l.pending != nil || c.granting[l.id] > 0:
			// Not now; it is looked at again at the next tick.
			l.at = c.now + 1
			heap.Fix(&c.due, 0)
		default:
			if b == nil {
				b = &leaseBatch{done: make(chan struct{})}
			}
			heap.Pop(&c.due)
			l.pending = b
			b.leases = append(b.leases, l)
			if len(b.leases) >= c.cfg.ExpiryBatch {
				return b
			}
		}
	}
	return b
}

// unrenewed returns the ids of long leases that nobody has renewed for the time of a
// checkpoint interval: their remaining time is worth keeping.
func (c *leaseClock) unrenewed() []registry.LeaseID {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []registry.LeaseID
	for id, l := range c.long {
		if l.ttl-(l.deadline-c.now) >= c.cfg.CheckpointInterval {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// checkpoint marks those of the leases that are still to be checkpointed, and says
// what each has left.
func (c *leaseClock) checkpoint(ids []registry.LeaseID) (*leaseBatch, []mvcc.LeaseRemaining) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := &leaseBatch{done: make(chan struct{})}
	var left []mvcc.LeaseRemaining
	for _, id := range ids {
		l := c.leases[id]
		if l == nil || l.pending != nil || l.deadline <= c.now {
			continue
		}
		l.pending, l.checkpointed = b, true
		b.leases = append(b.leases, l)
		left = append(left, mvcc.LeaseRemaining{ID: id, Remaining: min(l.deadline-c.now, l.ttl)})
	}
	return b, left
}

// resolve ends a batch, its outcome being certain: those of its leases that still
// exist run on.
func (c *leaseClock) resolve(b *leaseBatch) {
	c.resolveThen(b, func(*clockedLease) {})
}

// resolveCleared is resolve for a checkpoint that was taken back.
func (c *leaseClock) resolveCleared(b *leaseBatch) {
	c.resolveThen(b, func(l *clockedLease) { l.checkpointed = false })
}

func (c *leaseClock) resolveThen(b *leaseBatch, each func(*clockedLease)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range b.leases {
		if l.pending != b {
			continue
		}
		l.pending = nil
		each(l)
		if c.active && c.leases[l.id] == l && l.pos < 0 && l.ttl != registry.NoTTL {
			l.at = max(l.deadline, c.now+1)
			heap.Push(&c.due, l)
		}
	}
	close(b.done)
}

// leaseHeap is a heap of leases by at, the earliest first.
type leaseHeap []*clockedLease

func (h leaseHeap) Len() int           { return len(h) }
func (h leaseHeap) Less(i, j int) bool { return h[i].at < h[j].at }

func (h leaseHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

func (h *leaseHeap) Push(x any) {
	l := x.(*clockedLease)
	l.pos = len(*h)
	*h = append(*h, l)
}

func (h *leaseHeap) Pop() any {
	old := *h
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	l.pos = -1
	return l
}
