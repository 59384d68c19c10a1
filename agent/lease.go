package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"herald/registry"
)

// keepLease holds one lease until ctx ends. It depends on nothing but the
// Upstream's lease calls: not on advertising, a check, or the disk. It never gives
// a lease up because a call failed, since its clock may be standing still with
// the servers; only the answer that it is gone makes it ask for another.
func (a *Agent) keepLease(ctx context.Context) {
	ctx = registry.WithCaller(ctx, registry.Caller{Identity: a.identity(), Reason: registry.ReasonAgent})
	every := a.cfg.LeaseTTL / 3
	// Short enough that a lease is saved if servers come back with little of it left.
	retry := backoff{min: 100 * time.Millisecond, max: min(a.cfg.LeaseTTL/8, 5*time.Second)}
	a.link.begin()
	id := a.resume // not shown before a server has confirmed it
	for ctx.Err() == nil {
		started := time.Now()
		held, err := a.leaseCall(ctx, id)
		if ctx.Err() != nil {
			return
		}
		wait := every - time.Since(started)
		switch {
		case err == nil:
			retry.reset()
			if id != held {
				a.log.Info("lease granted", "lease", int64(held), "ttl", a.cfg.LeaseTTL.String())
			}
			id = held
			a.link.leaseAnswer(id, nil, true)
			a.saver.leaseHeld(id)
			a.wakeAdvertise()
		case errors.Is(err, registry.ErrLeaseNotFound) && id != 0:
			a.log.Warn("lease has ended: getting another, and advertising everything again", "lease", int64(id))
			id, wait = 0, 0
			retry.reset()
			a.link.leaseAnswer(0, nil, true)
			// This cannot spin: a loss is found by a keepalive, a third of a TTL after
			// the grant, or by advertising, which backs off.
		default:
			shown := id
			if a.link.holds() == 0 {
				shown = 0
			}
			a.link.leaseAnswer(shown, err, false)
			wait = retry.next()
		}
		a.awaitLeaseTurn(ctx, wait, id)
	}
}

// leaseCall keeps lease id alive, or is granted one if id is 0.
func (a *Agent) leaseCall(ctx context.Context, id registry.LeaseID) (registry.LeaseID, error) {
	// Several tries fit into what a lease has left when it was due for one.
	ctx, cancel := context.WithTimeout(ctx, min(a.cfg.LeaseTTL/4, 5*time.Second))
	defer cancel()
	started := time.Now()
	var l registry.Lease
	var err error
	if id == 0 {
		l, err = a.up.GrantLease(ctx, a.cfg.LeaseTTL)
		if err == nil && l.ID == 0 {
			err = errors.New("a lease was granted without an id")
		}
	} else {
		l, err = a.up.KeepAlive(ctx, id)
		l.ID = id
	}
	if a.cfg.Hooks.KeptAlive != nil {
		a.cfg.Hooks.KeptAlive(time.Since(started), err)
	}
	if err != nil {
		return 0, err
	}
	return l.ID, nil
}

// awaitLeaseTurn waits, but not once lease id is reported lost: that is to be
// found out at once.
func (a *Agent) awaitLeaseTurn(ctx context.Context, wait time.Duration, id registry.LeaseID) {
	if wait <= 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			return
		case lost := <-a.lost:
			if lost == id {
				return
			}
		}
	}
}

// revoke ends the lease at an orderly stop, so that everything goes at once
// instead of after the TTL. ctx has ended already.
func (a *Agent) revoke(ctx context.Context) {
	id := a.link.holds()
	if id == 0 {
		return
	}
	ctx = registry.WithCaller(context.WithoutCancel(ctx), registry.Caller{Identity: a.identity(), Reason: registry.ReasonAgent})
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := a.up.RevokeLease(ctx, id); err != nil && !errors.Is(err, registry.ErrLeaseNotFound) {
		a.log.Warn("lease cannot be revoked: what was advertised stays until it runs out",
			"lease", int64(id), "ttl", a.cfg.LeaseTTL.String(), "error", err)
		return
	}
	a.link.leaseAnswer(0, nil, true)
	a.saver.leaseHeld(0)
}

// identity is who the agent's writes are by.
func (a *Agent) identity() string { return fmt.Sprintf("agent:%s", a.cfg.Node.Name) }

// holds is the lease that is held, 0 if none.
func (l *link) holds() registry.LeaseID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lease
}
