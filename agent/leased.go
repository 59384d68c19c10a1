package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"herald/registry"
)

// hold is a lease that services hang from beside the agent's own. state.mu guards it.
type hold struct {
	// alive says that it was there when it was last asked for. What hangs from one
	// that this process has not yet seen is not advertised: it may have ended while
	// the agent was down.
	alive bool
	due   time.Time // when to ask again
}

// GrantLease implements registry.Agent.
func (a *Agent) GrantLease(ctx context.Context, ttl time.Duration) (registry.LeaseID, error) {
	ctx, cancel := context.WithTimeout(ctx, heldTimeout)
	defer cancel()
	l, err := a.up.GrantLease(ctx, ttl)
	if err != nil {
		return 0, fmt.Errorf("granting a lease of %v: %w", ttl, err)
	}
	return l.ID, nil
}

// followLeases withdraws services whose lease has ended, until ctx ends. That a
// lease cannot be asked for changes nothing: its clock may be standing still with
// the servers.
func (a *Agent) followLeases(ctx context.Context) {
	ctx = registry.WithCaller(ctx, registry.Caller{Identity: a.identity(), Reason: registry.ReasonAgent})
	retry := backoff{min: 100 * time.Millisecond, max: heldEvery}
	for ctx.Err() == nil {
		due, wait := a.state.dueHolds(time.Now())
		if len(due) == 0 {
			a.awaitHold(ctx, wait)
			continue
		}
		err := a.followOnce(ctx, due)
		switch {
		case err == nil:
			retry.reset()
			continue
		case retry.now == 0 && ctx.Err() == nil:
			a.log.Warn("leases that services hang from cannot be followed; the services stay until they can be", "error", err)
		}
		sleep(ctx, retry.next())
	}
}

// followOnce asks for leases, and withdraws what hangs from those that have ended.
// The error joins those of all that it could not do.
func (a *Agent) followOnce(ctx context.Context, due []registry.LeaseID) error {
	var failed []error
	for _, id := range due {
		err := a.askLease(ctx, id)
		switch {
		case errors.Is(err, registry.ErrLeaseNotFound):
			err = a.dropLeased(ctx, id)
		case errors.Is(err, context.DeadlineExceeded):
			return err // the others would take as long, one after the other
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// awaitHold waits until there is another lease to follow, or wait has passed; a
// negative one is for ever.
func (a *Agent) awaitHold(ctx context.Context, wait time.Duration) {
	var due <-chan time.Time
	if wait >= 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-ctx.Done():
	case <-a.held:
	case <-due:
	}
}

// askLease looks whether a lease is still there, and says when to look again.
func (a *Agent) askLease(ctx context.Context, id registry.LeaseID) error {
	ctx, cancel := context.WithTimeout(ctx, heldTimeout)
	defer cancel()
	l, err := a.up.Lease(ctx, id)
	if err != nil {
		return fmt.Errorf("lease %d: %w", id, err)
	}
	next := heldEvery
	if l.TTL != registry.NoTTL {
		next = max(heldSoonest, min(next, l.Remaining))
	}
	s := &a.state
	s.mu.Lock()
	seen := s.holds[id].alive
	s.holds[id] = hold{alive: true, due: time.Now().Add(next)}
	if !seen {
		s.generation++
		s.defined = s.generation
		s.pending.everything() // that hangs from it
	}
	s.mu.Unlock()
	if !seen {
		a.wakeAdvertise()
		select {
		case a.held <- struct{}{}:
		default:
		}
	}
	return nil
}

// dueHolds are the leases to be asked for now, or none and how long there is none;
// that is negative if nothing hangs from any. It forgets those that nothing hangs from
// any more, not before they are due: the registration may be under way.
func (s *state) dueHolds(now time.Time) (due []registry.LeaseID, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := map[registry.LeaseID]bool{}
	for _, sv := range s.services {
		if of := sv.def.Lease; of != 0 {
			if !used[of] && !s.holds[of].due.After(now) {
				due = append(due, of)
			}
			used[of] = true
		}
	}
	wait = -1
	for of, h := range s.holds {
		left := h.due.Sub(now)
		switch {
		case left <= 0 && !used[of]:
			delete(s.holds, of)
		case left <= 0: // one of due
		case wait < 0 || left < wait:
			wait = left
		}
	}
	return due, wait
}

// dropLeased withdraws what hangs from a lease that has ended.
func (a *Agent) dropLeased(ctx context.Context, lease registry.LeaseID) error {
	s := &a.state
	s.mu.Lock()
	var found []string
	for id, sv := range s.services {
		if sv.def.Lease == lease {
			found = append(found, id)
		}
	}
	s.mu.Unlock()
	slices.Sort(found)
	var gone []string
	err := a.change(ctx, func(d *draft) error {
		for _, id := range found {
			// It may have been registered anew while the change was waiting its turn.
			if sv := d.service(id); sv != nil && sv.def.Lease == lease {
				d.dropService(id)
				gone = append(gone, id)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("deregistering what hung from lease %d, which has ended: %w", lease, err)
	}
	s.mu.Lock()
	delete(s.holds, lease)
	s.mu.Unlock()
	for _, id := range gone {
		a.log.Info("service deregistered: its lease has ended", "service", id, "lease", int64(lease))
	}
	return nil
}

// aliveLocked reports whether a service may be advertised as far as leases go.
func (s *state) aliveLocked(sv *service) bool {
	return sv.def.Lease == 0 || s.holds[sv.def.Lease].alive
}
