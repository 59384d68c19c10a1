package catalog

import "sync/atomic"

// derived is what readers have made of an immutable entry: few readers, each with one
// value, the latest first.
type derived struct {
	first atomic.Pointer[derivation]
}

type derivation struct {
	by, value any
	next      *derivation
}

func (d *derived) get(by any) any { return d.first.Load().find(by) }

func (d *derivation) find(by any) any {
	for ; d != nil; d = d.next {
		if d.by == by {
			return d.value
		}
	}
	return nil
}

func (d *derived) put(by, value any) any {
	for {
		first := d.first.Load()
		if kept := first.find(by); kept != nil {
			return kept
		}
		if d.first.CompareAndSwap(first, &derivation{by, value, first}) {
			return value
		}
	}
}

// Derived returns what reader has kept with this entry, or nil. It allocates nothing
// where reader is a pointer.
func (s *Service) Derived(reader any) any { return s.derived.get(reader) }

// Derive keeps value, which is not nil, with this entry for reader, which is comparable, and returns what
// is kept: value, or what was kept before, by another call at the same time say. What is
// kept lives as long as the entry does: a change of the service, of one of its nodes or of
// their checks makes another entry, which has nothing. A value must therefore say nothing
// that the entry and the reader do not.
func (s *Service) Derive(reader, value any) any { return s.derived.put(reader, value) }
