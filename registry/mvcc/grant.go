package mvcc

import (
	"fmt"

	"herald/registry"
)

// madeLease is a lease that the transaction under way made.
type madeLease struct {
	id registry.LeaseID
	// before is what the lease was that it waits for, nil if it waits for none.
	before *lease
}

func validateGrant(g *registry.GrantRequest) error {
	if g.ID == 0 {
		return fmt.Errorf("%w: a lease needs an id other than 0", registry.ErrInvalid)
	}
	return validTTL(g.TTL)
}

// grantWithin makes a lease as part of a transaction. undoGrants takes it back.
func (s *State) grantWithin(g *registry.GrantRequest) error {
	if _, taken := s.leases.Get(int64(g.ID)); taken {
		if g.IfAbsent {
			return nil
		}
		return registry.ErrLeaseExists
	}
	l := &lease{id: g.ID, ttl: g.TTL, after: g.After, deleteLocked: g.DeleteLocked, only: &attrs{lease: g.ID}}
	made := madeLease{id: g.ID}
	runs := g.TTL
	if g.After != 0 {
		before, ok := s.leases.Get(int64(g.After))
		if !ok {
			return registry.ErrLeaseNotFound
		}
		if before.after != 0 {
			// No chains: the end of a lease does a bounded amount of work.
			return fmt.Errorf("%w: lease %d waits for the end of lease %d itself, so lease %d cannot wait for its", registry.ErrInvalid, before.id, before.after, g.ID)
		}
		if other, ok := s.leases.Get(int64(before.heir)); ok && other.after == before.id {
			return fmt.Errorf("%w: lease %d follows lease %d already, so lease %d cannot", registry.ErrInvalid, other.id, before.id, g.ID)
		}
		next := *before
		next.heir = g.ID
		s.setLease(&next)
		made.before, runs = before, registry.NoTTL
	}
	s.setLease(l)
	s.made = append(s.made, made)
	s.leaseChanges = append(s.leaseChanges, LeaseChange{ID: g.ID, TTL: runs})
	return nil
}

// undoGrants takes back the leases of a transaction that failed.
func (s *State) undoGrants() {
	for i := len(s.made) - 1; i >= 0; i-- {
		m := &s.made[i]
		s.leases.Delete(int64(m.id))
		if m.before != nil {
			s.setLease(m.before)
		}
	}
	s.made, s.leaseChanges = s.made[:0], s.leaseChanges[:0]
}

// succeed begins the time of a lease that waited for the end of another. One that
// holds nothing ends instead: it would only have to be ended later.
func (s *State) succeed(ended, heir registry.LeaseID) {
	l, ok := s.leases.Get(int64(heir))
	if !ok || l.after != ended {
		return
	}
	holds := false
	s.holdsOf(heir, func(hold) bool {
		holds = true
		return false
	})
	if !holds {
		s.endLease(heir)
		return
	}
	next := *l
	next.after = 0
	s.setLease(&next)
	s.leaseChanges = append(s.leaseChanges, LeaseChange{ID: heir, TTL: l.ttl})
}
