package catalog

import "slices"

// Several finds services by their names, as Index.Service does, but many at a time. What a lookup in a large
// catalog reads is in no cache of the processor, and each step of it waits for memory that the one before it
// names. Taken for all names before the next step is, the waits of one step pass at the same time.
//
// The zero value is ready to use, by one goroutine at a time. It is reused without allocating.
type Several struct {
	wanted []wanted
	found  []*Service
	// touched keeps the reads that only bring memory near.
	touched int
}

type wanted struct {
	key  string
	hash uint64
	list []tableEntry
}

// Find returns the services of names, in any case, in their order: nil for a name that has none. The
// slice is valid until the next Find.
func (s *Several) Find(x *Index, names []string) []*Service {
	s.wanted = s.wanted[:0]
	for _, name := range names {
		key := fold(name)
		hash := tableHash(key)
		s.wanted = append(s.wanted, wanted{key, hash, x.byName.list(hash)})
	}
	s.found = slices.Grow(s.found[:0], len(names))[:len(names)]
	clear(s.found)
	for i := range s.wanted {
		if w := &s.wanted[i]; len(w.list) > 0 {
			s.touched += int(w.list[0].hash)
		}
	}
	for i := range s.wanted {
		w := &s.wanted[i]
		for _, e := range w.list {
			if e.hash == w.hash {
				s.found[i] = e.s
				break // the only one, but for names whose hashes are equal
			}
		}
	}
	for _, e := range s.found {
		if e != nil {
			s.touched += len(e.key)
		}
	}
	for i, e := range s.found {
		if e != nil && e.key != s.wanted[i].key {
			s.found[i] = x.byName.get(s.wanted[i].key)
		}
	}
	clear(s.wanted) // nothing is kept alive until the next time
	return s.found
}
