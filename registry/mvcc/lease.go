package mvcc

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"herald/registry"
)

// lease is a lease as the state machine knows it: nothing about its deadline, which
// is the leader's business. Immutable.
type lease struct {
	id        registry.LeaseID
	ttl       time.Duration
	remaining time.Duration // a checkpoint; 0: none, the full ttl
	// after is the lease at whose end this one's time begins, 0 if it runs; heir is
	// the one that waits so for this one, which may have ended meanwhile.
	after, heir registry.LeaseID
	// deleteLocked says that the end deletes what the lease has locked.
	deleteLocked bool
	// only is the attrs of a key that has this lease and nothing else, shared by
	// all of them.
	only *attrs
}

// LeaseState is a lease as it is replicated.
type LeaseState struct {
	ID  registry.LeaseID
	TTL time.Duration
	// Remaining is the checkpointed rest of the time to live, from which a new
	// leader counts; 0 if there is none, so that it counts from TTL.
	Remaining time.Duration
	// After is the lease at whose end this one's time begins; 0 if it has begun.
	After registry.LeaseID
	// DeleteLocked says that its end deletes what it has locked.
	DeleteLocked bool
}

func (l *lease) state() LeaseState {
	return LeaseState{ID: l.id, TTL: l.ttl, Remaining: l.remaining, After: l.after, DeleteLocked: l.deleteLocked}
}

// LeaseChange is a lease whose time began, or that ended.
type LeaseChange struct {
	ID registry.LeaseID
	// Ended says which. If it has not, TTL is what it has to live from now on: NoTTL also
	// for one whose time begins at another's end.
	Ended bool
	TTL   time.Duration
}

// hold is one key that a lease holds up: attached to it, locked by it, or both.
// Which, the key's record says. key does not share memory with a value.
type hold struct {
	lease registry.LeaseID
	space registry.Space
	key   string
}

// holdLess orders holds by lease, space and key: the keys of a lease lie together
// in the order in which its end treats them.
func holdLess(a, b hold) bool {
	switch {
	case a.lease != b.lease:
		return a.lease < b.lease
	case a.space != b.space:
		return a.space < b.space
	default:
		return a.key < b.key
	}
}

// holds yields what a lease holds up.
func (m *image) holdsOf(id registry.LeaseID, yield func(hold) bool) {
	m.holds.Ascend(hold{lease: id}, func(h hold) bool { return h.lease == id && yield(h) })
}

// holdsIn says whether a lease holds up a key of a space.
func (m *image) holdsIn(id registry.LeaseID, s registry.Space) (any bool) {
	m.holds.Ascend(hold{lease: id, space: s}, func(h hold) bool {
		any = h.lease == id && h.space == s
		return false
	})
	return any
}

func validTTL(ttl time.Duration) error {
	if ttl < 0 || ttl > registry.MaxTTL {
		return fmt.Errorf("%w: %v is not between 0 and %v", registry.ErrInvalidTTL, ttl, time.Duration(registry.MaxTTL))
	}
	return nil
}

func (s *State) grant(g *LeaseGrant) Result {
	if _, taken := s.leases.Get(int64(g.ID)); taken {
		return Result{Err: registry.ErrLeaseExists}
	}
	s.setLease(&lease{id: g.ID, ttl: g.TTL, only: &attrs{lease: g.ID}})
	s.leaseChanges = append(s.leaseChanges, LeaseChange{ID: g.ID, TTL: g.TTL})
	return Result{Lease: registry.Lease{ID: g.ID, TTL: g.TTL, Remaining: g.TTL}}
}

func (s *State) setLease(l *lease) {
	s.leases.Set(int64(l.id), l)
	s.changed |= leasesChanged
}

// revoke ends leases one after the other, each in a revision of its own.
func (s *State) revoke(r *LeaseRevoke) Result {
	var res Result
	for _, id := range r.IDs {
		if _, ok := s.leases.Get(int64(id)); !ok {
			res.Missing = append(res.Missing, id)
			continue
		}
		s.endLease(id)
	}
	if len(res.Missing) > 0 {
		res.Err = NoSuchLeases(res.Missing)
	}
	return res
}

// namedLeases bounds how many leases an error names.
const namedLeases = 16

// NoSuchLeases is the error of a revoke, some of whose leases were missing. It names them.
func NoSuchLeases(missing []registry.LeaseID) error {
	named := make([]string, min(len(missing), namedLeases))
	for i := range named {
		named[i] = strconv.FormatInt(int64(missing[i]), 10)
	}
	more := ""
	if n := len(missing) - len(named); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%w: %s%s", registry.ErrLeaseNotFound, strings.Join(named, ", "), more)
}

// endLease deletes the keys attached to a lease and frees the locks it holds on
// others, or deletes those too, in one revision of each space, in key order.
func (s *State) endLease(id registry.LeaseID) {
	var held []hold
	s.holdsOf(id, func(h hold) bool {
		held = append(held, h)
		return true
	})
	l, _ := s.leases.Get(int64(id))
	for _, h := range held {
		r := s.spaces[h.space].get(h.key)
		a := *r.extra()
		if a.lease == id || l.deleteLocked {
			s.remove(h.space, r)
			continue
		}
		a.lock.Holder = 0
		s.replace(h.space, r, r.with(r.create, 0, r.version, s.share(a)))
	}
	s.commit()
	s.leases.Delete(int64(id))
	s.changed |= leasesChanged
	s.leaseChanges = append(s.leaseChanges, LeaseChange{ID: id, Ended: true})
	if l.heir != 0 {
		s.succeed(id, l.heir)
	}
}

// checkpoint records what leases have left to live. Leases that have ended
// meanwhile are named in the result and are no error.
func (s *State) checkpoint(c *LeaseCheckpoint) Result {
	var res Result
	for _, r := range c.Remaining {
		l, ok := s.leases.Get(int64(r.ID))
		if !ok {
			res.Missing = append(res.Missing, r.ID)
			continue
		}
		next := *l
		next.remaining = min(r.Remaining, l.ttl)
		s.setLease(&next)
	}
	return res
}

// share returns a as records keep it: nil if it is all zeros, the lease's own
// copy if there is nothing but the lease.
func (s *State) share(a attrs) *attrs {
	if a == noAttrs {
		return nil
	}
	if a.lease != 0 && a.flags == 0 && a.lock == (registry.Lock{}) {
		if l, ok := s.leases.Get(int64(a.lease)); ok {
			return l.only
		}
	}
	own := a // the parameter itself must not escape: most calls keep nothing
	return &own
}
