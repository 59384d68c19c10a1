package raftstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"herald/registry"
	"herald/registry/mvcc"
)

// GrantLease implements registry.Leases.
func (s *Store) GrantLease(ctx context.Context, id registry.LeaseID, ttl time.Duration) (registry.Lease, error) {
	if err := s.enter(ctx); err != nil {
		return registry.Lease{}, err
	}
	pick := id == 0
	for {
		if pick {
			// The store's own are positive, as clients print them.
			id = registry.LeaseID(rand.Int64N(1<<63-1) + 1)
		}
		c := mvcc.Command{Origin: origin(ctx), Grant: &mvcc.LeaseGrant{ID: id, TTL: ttl}}
		if err := c.Validate(); err != nil {
			return registry.Lease{}, err
		}
		l, err := ask(ctx, s, func(ctx context.Context, l leader) (registry.Lease, error) { return l.grant(ctx, &c) })
		if pick && errors.Is(err, registry.ErrLeaseExists) {
			continue
		}
		return l, err
	}
}

func (l localLeader) grant(ctx context.Context, c *mvcc.Command) (registry.Lease, error) {
	id := c.Grant.ID
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	for {
		wait := l.clock.beginGrant(id)
		if wait == nil {
			break
		}
		if err := wait.wait(ctx); err != nil {
			return registry.Lease{}, err
		}
	}
	res, err := l.proposer.propose(ctx, c, proposeOptions{limit: l.cfg.MaxRequestBytes, after: func() { l.clock.endGrant(id) }})
	return res.Lease, err
}

// wait waits until it is certain what became of a batch.
func (b *leaseBatch) wait(ctx context.Context) error {
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: the lease is being ended: %w", registry.ErrUnavailable, context.Cause(ctx))
	}
}

// KeepAlive implements registry.Leases.
func (s *Store) KeepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	if err := s.enter(ctx); err != nil {
		return registry.Lease{}, err
	}
	return ask(ctx, s, func(ctx context.Context, l leader) (registry.Lease, error) { return l.keepAlive(ctx, id) })
}

func (l localLeader) keepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	bound := false
	for {
		r, ok := l.clock.renew(id)
		if !bound && (r.wait != nil || r.clear != nil) {
			// One bound for all that it waits for. Most wait for nothing, and do without.
			var cancel context.CancelFunc
			ctx, cancel = l.bounded(ctx)
			defer cancel()
			bound = true
		}
		switch {
		case !ok:
			return registry.Lease{}, l.notLeader()
		case r.wait != nil:
			if err := r.wait.wait(ctx); err != nil {
				return registry.Lease{}, err
			}
			continue
		case r.clear != nil:
			if err := l.clearCheckpoint(ctx, r.term, id, r.clear); err != nil {
				return registry.Lease{}, err
			}
			continue
		}
		// Confirmed after the deadline was moved, not before: see leaseClock.
		term, err := l.confirmLeader(ctx)
		switch {
		case err != nil:
			return registry.Lease{}, err
		case term != r.term:
			return registry.Lease{}, l.notLeader()
		case !r.found:
			return registry.Lease{}, registry.ErrLeaseNotFound
		}
		return registry.Lease{ID: id, TTL: r.ttl, Remaining: r.ttl}, nil
	}
}

// clearCheckpoint takes back what was checkpointed of a lease, so that the next
// leader gives it its full time.
func (l localLeader) clearCheckpoint(ctx context.Context, term uint64, id registry.LeaseID, b *leaseBatch) error {
	c := checkpointCommand([]mvcc.LeaseRemaining{{ID: id}})
	c.Origin.When = now()
	_, err := l.proposer.propose(ctx, &c, proposeOptions{fence: term, limit: l.cfg.MaxRequestBytes})
	if err != nil {
		// Should it take effect after all, the lease only lives longer.
		l.clock.resolve(b)
		return err
	}
	l.clock.resolveCleared(b)
	return nil
}

// RevokeLease implements registry.Leases.
func (s *Store) RevokeLease(ctx context.Context, ids ...registry.LeaseID) (registry.Revisions, error) {
	if err := s.enter(ctx); err != nil || len(ids) == 0 {
		return registry.Revisions{}, err
	}
	res, err := s.propose(ctx, &mvcc.Command{Origin: origin(ctx), Revoke: &mvcc.LeaseRevoke{IDs: ids}})
	if err != nil && len(res.Missing) == 0 {
		return registry.Revisions{}, err
	}
	return res.Revisions, err // those that are missing aside, it was done
}

// Lease implements registry.Leases.
func (s *Store) Lease(ctx context.Context, id registry.LeaseID, keys bool) (registry.Lease, error) {
	v, err := s.linearView(ctx)
	if err != nil {
		return registry.Lease{}, err
	}
	st, ok := v.Lease(id)
	if !ok {
		return registry.Lease{}, registry.ErrLeaseNotFound
	}
	left, err := ask(ctx, s, func(ctx context.Context, l leader) (time.Duration, error) { return l.remaining(ctx, id) })
	if err != nil {
		return registry.Lease{}, err
	}
	l := registry.Lease{ID: id, TTL: st.TTL, Remaining: left}
	if keys {
		l.Keys = v.LeaseKeys(id)
	}
	return l, nil
}

func (l localLeader) remaining(_ context.Context, id registry.LeaseID) (time.Duration, error) {
	left, found, ok := l.clock.remaining(id)
	switch {
	case !ok:
		return 0, l.notLeader()
	case !found:
		return 0, registry.ErrLeaseNotFound
	}
	return left, nil
}

// ListLeases implements registry.Leases.
func (s *Store) ListLeases(ctx context.Context, without ...registry.Space) ([]registry.LeaseID, error) {
	v, err := s.linearView(ctx)
	if err != nil {
		return nil, err
	}
	return v.LeaseIDs(without...), nil
}
