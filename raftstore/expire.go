package raftstore

import (
	"time"

	"herald/registry"
	"herald/registry/mvcc"
)

// tickLoop advances the lease clock while a quorum confirms that this server leads.
func (t *tenure) tickLoop() {
	ticker := time.NewTicker(t.s.cfg.Leases.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-t.ctx.Done():
			return
		}
		t.s.clock.beginTick()
		term, err := t.s.confirmLeader(t.ctx)
		t.s.clock.tick(err == nil && term == t.term)
		select {
		case t.ticked <- struct{}{}:
		default:
		}
	}
}

// expireLoop ends the leases whose time has run out.
func (t *tenure) expireLoop() {
	for {
		select {
		case <-t.ticked:
		case <-t.ctx.Done():
			return
		}
		for t.expireSome() {
		}
	}
}

// expireSome ends some leases, if there are any to end, and says whether to go on.
func (t *tenure) expireSome() bool {
	if !t.decide() {
		return false
	}
	defer t.decided()
	b := t.s.clock.expired()
	return b != nil && t.expire(b)
}

// decide begins what the leader decides about leases, and carries out before decided is
// called. It returns false if the tenure ends first.
func (t *tenure) decide() bool {
	select {
	case t.s.decisions <- struct{}{}:
		return true
	case <-t.ctx.Done():
		return false
	}
}

func (t *tenure) decided() { <-t.s.decisions }

// expire revokes marked leases. It returns false if it could not; they are then
// tried again later, unless a keepalive comes first.
func (t *tenure) expire(b *leaseBatch) bool {
	ids := make([]registry.LeaseID, len(b.leases))
	for i, l := range b.leases {
		ids[i] = l.id
	}
	res, err := t.command(mvcc.Command{
		Origin: registry.Origin{Why: registry.ReasonLeaseEnd},
		Revoke: &mvcc.LeaseRevoke{IDs: ids},
	})
	// Those that the command ended are gone from the clock by now: the machine tells
	// the clock before it answers.
	t.s.clock.resolve(b)
	ended := len(ids) - len(res.Missing)
	if err != nil && res.Err == nil {
		return false // it was not applied
	}
	if t.s.cfg.Hooks.LeasesEnded != nil {
		t.s.cfg.Hooks.LeasesEnded(ended)
	}
	return true
}

// checkpointLoop writes down, now and then, what long leases have left.
func (t *tenure) checkpointLoop() {
	every := t.s.cfg.Leases.CheckpointInterval
	if every == 0 {
		return
	}
	for t.pause(every) {
		ids := t.s.clock.unrenewed()
		for len(ids) > 0 && t.ctx.Err() == nil {
			n := min(len(ids), t.s.cfg.Leases.ExpiryBatch)
			t.checkpoint(ids[:n])
			ids = ids[n:]
		}
	}
}

func (t *tenure) checkpoint(ids []registry.LeaseID) {
	if !t.decide() {
		return
	}
	defer t.decided()
	b, left := t.s.clock.checkpoint(ids)
	if len(left) > 0 {
		// If it fails, the leases only start anew with the next leader.
		_, err := t.command(checkpointCommand(left))
		if err != nil {
			t.s.cfg.Log.Debug("cannot checkpoint leases", "error", err)
		}
	}
	t.s.clock.resolve(b)
}

func checkpointCommand(left []mvcc.LeaseRemaining) mvcc.Command {
	return mvcc.Command{
		Origin:     registry.Origin{Why: registry.ReasonSystem},
		Checkpoint: &mvcc.LeaseCheckpoint{Remaining: left},
	}
}
