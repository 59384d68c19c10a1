package dnsserver

import "slices"

// seenSmall is how many elements are searched one after the other, which is
// faster than hashing them.
const seenSmall = 16

// seen is a set that is reused.
type seen[K comparable] struct {
	few  []K
	many map[K]struct{}
}

func (s *seen[K]) reset() {
	s.few = s.few[:0]
	if len(s.many) > 0 {
		clear(s.many)
	}
}

// add adds k, and reports whether it was not there.
func (s *seen[K]) add(k K) bool {
	if len(s.many) > 0 {
		if _, ok := s.many[k]; ok {
			return false
		}
		s.many[k] = struct{}{}
		return true
	}
	if slices.Contains(s.few, k) {
		return false
	}
	if len(s.few) < seenSmall {
		s.few = append(s.few, k)
		return true
	}
	if s.many == nil {
		s.many = make(map[K]struct{}, 4*seenSmall)
	}
	for _, f := range s.few {
		s.many[f] = struct{}{}
	}
	s.many[k] = struct{}{}
	return true
}
