package dnsserver

// placesSmall is how many elements are searched one after the other, which is
// faster than hashing them.
const placesSmall = 16

// places are the places of elements in a list: a map that is reused.
type places[K comparable] struct {
	few  []placed[K]
	many map[K]int
}

type placed[K comparable] struct {
	k  K
	at int
}

func (p *places[K]) reset() {
	clear(p.few)
	p.few = p.few[:0]
	if len(p.many) > 0 {
		clear(p.many)
	}
}

// of is the place of k, which is next if it has none yet; it reports whether it had one.
func (p *places[K]) of(k K, next int) (at int, known bool) {
	if len(p.many) > 0 {
		if at, known = p.many[k]; !known {
			at, p.many[k] = next, next
		}
		return at, known
	}
	for i := range p.few {
		if p.few[i].k == k {
			return p.few[i].at, true
		}
	}
	if len(p.few) < placesSmall {
		p.few = append(p.few, placed[K]{k, next})
		return next, false
	}
	if p.many == nil {
		p.many = make(map[K]int, 4*placesSmall)
	}
	for _, f := range p.few {
		p.many[f.k] = f.at
	}
	p.many[k] = next
	return next, false
}

// seen is a set that is reused.
type seen[K comparable] struct{ places[K] }

// add adds k, and reports whether it was not there.
func (s *seen[K]) add(k K) bool {
	_, known := s.of(k, 0)
	return !known
}
