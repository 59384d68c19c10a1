package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"herald/registry"
	"herald/registry/catalog"
)

// wakeAdvertise says that the records or the lease may have changed. It never
// blocks; what changes while an attempt is under way goes together in the next.
func (a *Agent) wakeAdvertise() {
	select {
	case a.dirty <- struct{}{}:
	default:
	}
}

// advertise brings the catalog in line with the state whenever that or the lease
// changed, and every few minutes in any case, until ctx ends.
func (a *Agent) advertise(ctx context.Context) {
	retry := backoff{min: 100 * time.Millisecond}
	next := time.Now() // when to compare although nothing changed
	for {
		if !a.awaitDirty(ctx, time.Until(next)) {
			return
		}
		lease := a.link.holds()
		if lease == 0 || !a.stale(lease) && time.Now().Before(next) {
			if lease == 0 {
				next = time.Now().Add(antiEntropy) // the lease, when it comes, wakes
			}
			continue
		}
		doubt := a.link.inDoubt()
		whole := doubt || !time.Now().Before(next)
		switch err := a.advertiseOnce(ctx, lease, whole); {
		case err == nil:
			retry.reset()
			if whole {
				next = time.Now().Add(antiEntropy*3/4 + rand.N(antiEntropy/2))
			}
			if doubt {
				next = time.Now().Add(confirmAfter)
			}
		case ctx.Err() != nil:
			return
		case errors.Is(err, registry.ErrLeaseNotFound):
			select {
			case a.lost <- lease:
			default:
			}
			fallthrough
		default:
			retry.max = advertiseRetryMax
			if errors.Is(err, registry.ErrNodeTaken) {
				retry.max = takenRetryMax
			}
			// Changes wait too: the servers are in trouble, and get one try at a time.
			if !sleep(ctx, retry.next()) {
				return
			}
			next = time.Now()
		}
	}
}

// awaitDirty waits for a wake or for wait to pass.
func (a *Agent) awaitDirty(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-a.dirty:
	case <-t.C:
	}
	return true
}

// stale reports whether the catalog may lack something of the state.
func (a *Agent) stale(lease registry.LeaseID) bool {
	a.state.mu.Lock()
	generation := a.state.generation
	a.state.mu.Unlock()
	a.link.mu.Lock()
	defer a.link.mu.Unlock()
	return a.link.synced != generation || a.link.syncedLease != lease
}

// advertiseOnce brings the catalog in line with the state: by looking at all of it if whole says so, or if nothing
// is known to be as it was advertised last, and else by what has changed since.
func (a *Agent) advertiseOnce(ctx context.Context, lease registry.LeaseID, whole bool) error {
	s := &a.state
	up, can := a.up.(changesUpstream)
	a.link.mu.Lock()
	synced, same := a.link.synced, lease == a.link.syncedLease
	a.link.mu.Unlock()

	s.mu.Lock()
	changes, known := s.changesLocked(a.cfg.Node, time.Now())
	byChanges := can && known && same && !whole
	var want catalog.NodeRecords
	if !byChanges {
		want = s.recordsLocked(a.cfg.Node, time.Now())
	}
	generation, defined := s.generation, s.defined
	s.mu.Unlock()

	reason := registry.ReasonAgent
	if same && defined <= synced && generation > synced {
		reason = registry.ReasonCheck
	}
	ctx, cancel := context.WithTimeout(ctx, advertiseTimeout)
	defer cancel()
	ctx = registry.WithCaller(ctx, registry.Caller{Identity: a.identity(), Reason: reason})
	started := time.Now()
	var err error
	if byChanges {
		if err = up.AdvertiseChanges(ctx, lease, changes); errors.Is(err, registry.ErrNotAdvertised) {
			byChanges = false
			s.mu.Lock()
			s.pending = pending{}
			want, generation = s.recordsLocked(a.cfg.Node, time.Now()), s.generation
			s.mu.Unlock()
		}
	}
	if !byChanges {
		err = a.up.Advertise(ctx, lease, want)
	}
	if a.cfg.Hooks.Advertised != nil {
		a.cfg.Hooks.Advertised(time.Since(started), err)
	}
	a.link.recordsAnswer(generation, lease, err)
	return err
}

// inDoubt reports whether the last attempt failed, so that what it wrote may yet
// land on top of what the next one writes.
func (l *link) inDoubt() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recordsErr != nil
}
