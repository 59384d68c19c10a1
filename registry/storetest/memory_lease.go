package storetest

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"herald/registry"
	"herald/registry/mvcc"
)

// GrantLease is part of registry.Leases.
func (m *Memory) GrantLease(ctx context.Context, id registry.LeaseID, ttl time.Duration) (registry.Lease, error) {
	picked := id == 0
	for {
		if picked {
			id = registry.LeaseID(1 + rand.Int64N(math.MaxInt64))
		}
		lease, err := m.grant(ctx, id, ttl)
		if picked && errors.Is(err, registry.ErrLeaseExists) {
			continue
		}
		return lease, err
	}
}

func (m *Memory) grant(ctx context.Context, id registry.LeaseID, ttl time.Duration) (registry.Lease, error) {
	c, err := m.logged(ctx, mvcc.Command{Grant: &mvcc.LeaseGrant{ID: id, TTL: ttl}})
	if err != nil {
		return registry.Lease{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refusesLocked(ctx, registry.Linearizable); err != nil {
		return registry.Lease{}, err
	}
	res := m.applyLocked(&c)
	if res.Err != nil {
		return registry.Lease{}, res.Err
	}
	return res.Lease, nil
}

// KeepAlive is part of registry.Leases.
func (m *Memory) KeepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refusesLocked(ctx, registry.Linearizable); err != nil {
		return registry.Lease{}, err
	}
	l, ok := m.state.View().Lease(id)
	if !ok {
		return registry.Lease{}, registry.ErrLeaseNotFound
	}
	if l.After != 0 {
		l.TTL = registry.NoTTL // until its time begins
	}
	m.startLocked(id, l.TTL)
	return registry.Lease{ID: id, TTL: l.TTL, Remaining: l.TTL}, nil
}

// RevokeLease is part of registry.Leases.
func (m *Memory) RevokeLease(ctx context.Context, ids ...registry.LeaseID) (registry.Revisions, error) {
	if len(ids) == 0 {
		return registry.Revisions{}, nil
	}
	c, err := m.logged(ctx, mvcc.Command{Revoke: &mvcc.LeaseRevoke{IDs: ids}})
	if err != nil {
		return registry.Revisions{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refusesLocked(ctx, registry.Linearizable); err != nil {
		return registry.Revisions{}, err
	}
	res := m.applyLocked(&c)
	return res.Revisions, res.Err
}

// Lease is part of registry.Leases.
func (m *Memory) Lease(ctx context.Context, id registry.LeaseID, keys bool) (registry.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refusesLocked(ctx, registry.Linearizable); err != nil {
		return registry.Lease{}, err
	}
	v := m.state.View()
	l, ok := v.Lease(id)
	if !ok {
		return registry.Lease{}, registry.ErrLeaseNotFound
	}
	lease := registry.Lease{ID: id, TTL: l.TTL}
	if at, ok := m.leases.of(id); ok {
		lease.Remaining = max(0, time.Until(at))
	}
	if keys {
		lease.Keys = v.LeaseKeys(id)
	}
	return lease, nil
}

// ListLeases is part of registry.Leases.
func (m *Memory) ListLeases(ctx context.Context, without ...registry.Space) ([]registry.LeaseID, error) {
	v, err := m.view(ctx, registry.Linearizable)
	if err != nil {
		return nil, err
	}
	return v.LeaseIDs(without...), nil
}

// startLocked starts the time to live of a lease anew.
func (m *Memory) startLocked(id registry.LeaseID, ttl time.Duration) {
	if ttl == registry.NoTTL {
		return
	}
	if m.leases.set(id, time.Now().Add(ttl)) {
		m.alarm()
	}
}

// expire ends leases as their time comes, until the store is closed.
func (m *Memory) expire() {
	// The timer is only ever armed for the earliest deadline; a keepalive moves that,
	// which the timer finds out when it fires.
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		timer.Reset(m.endOverdue())
		select {
		case <-m.quit:
			return
		case <-m.wake:
		case <-timer.C:
		}
	}
}

// endOverdue ends the leases whose time has come, all in one command, and returns
// how long it is until the next.
func (m *Memory) endOverdue() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.outage != nil {
		return math.MaxInt64
	}
	now := time.Now()
	if ids := m.leases.popUntil(now); len(ids) > 0 {
		m.applyLocked(&mvcc.Command{
			Origin: registry.Origin{Why: registry.ReasonLeaseEnd, When: now},
			Revoke: &mvcc.LeaseRevoke{IDs: ids},
		})
	}
	next, ok := m.leases.earliest()
	if !ok {
		return math.MaxInt64
	}
	return next.Sub(now)
}
