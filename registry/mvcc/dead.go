package mvcc

import (
	"herald/registry"
	"herald/registry/cow"
)

// maxDead is how many deleted keys a space remembers. It is part of the state
// machine: replicas that differ in it diverge.
const maxDead = 1 << 18

// lastChange is the highest revision at which a key of the range was put or
// deleted, a restore being both. Where a deletion may have been forgotten, it answers
// with the highest revision forgotten: too high, never too low.
func (s *space) lastChange(kr registry.KeyRange) int64 {
	if kr.IsOne() {
		if r := s.get(kr.Start); r != nil {
			return max(r.mod, s.restored)
		}
		if rev, ok := s.dead.Get(kr.Start); ok {
			return rev
		}
		return s.deadFloor
	}
	if kr.Empty() {
		return 0
	}
	last := s.deadFloor
	s.scan(kr, func(r *record) bool {
		last = max(last, r.mod)
		return true
	})
	s.dead.Ascend(kr.Start, func(key string, rev int64) bool {
		if !kr.Contains(key) {
			return false
		}
		last = max(last, rev)
		return true
	})
	return last
}

// graveyard is the writer's side of a space's dead keys: the same keys by
// revision, to find the oldest.
type graveyard struct {
	byRev *cow.Tree[deadKey]
}

type deadKey struct {
	rev int64
	key string
}

func newGraveyard() graveyard {
	return graveyard{cow.NewTree(func(a, b deadKey) bool {
		return a.rev < b.rev || a.rev == b.rev && a.key < b.key
	})}
}

// bury remembers that key was deleted at rev. key must not share memory with a
// value. With limit keys remembered, the one deleted first is forgotten.
func (g *graveyard) bury(s *space, key string, rev int64, limit int) {
	if old, had := s.dead.Set(key, rev); had {
		g.byRev.Delete(deadKey{old, key})
	}
	g.byRev.Set(deadKey{rev, key})
	if g.byRev.Len() > limit {
		oldest, _ := g.byRev.PopMin()
		s.dead.Delete(oldest.key)
		s.deadFloor = max(s.deadFloor, oldest.rev)
	}
}

// raise forgets that key was deleted, since it lives again.
func (g *graveyard) raise(s *space, key string) (changed bool) {
	if s.dead.Len() == 0 {
		return false
	}
	// Looked up first: a miss must not copy the path to where it would be.
	rev, ok := s.dead.Get(key)
	if ok {
		s.dead.Delete(key)
		g.byRev.Delete(deadKey{rev, key})
	}
	return ok
}
