package catalog

import (
	"slices"
	"sync/atomic"
)

// derived is what readers have made of an immutable entry: few readers, each with one
// value, so that a list that is copied to be changed is all it takes.
type derived struct {
	list atomic.Pointer[[]derivation]
}

type derivation struct{ by, value any }

func (d *derived) get(by any) any {
	if list := d.list.Load(); list != nil {
		for i := range *list {
			if (*list)[i].by == by {
				return (*list)[i].value
			}
		}
	}
	return nil
}

func (d *derived) put(by, value any) any {
	for {
		old := d.list.Load()
		var list []derivation
		if old != nil {
			list = *old
		}
		for i := range list {
			if list[i].by == by {
				return list[i].value
			}
		}
		list = append(slices.Clip(list), derivation{by, value})
		if d.list.CompareAndSwap(old, &list) {
			return value
		}
	}
}

// Derived returns what reader has kept with this entry, or nil. It allocates nothing
// where reader is a pointer.
func (s *Service) Derived(reader any) any { return s.derived.get(reader) }

// Derive keeps value with this entry for reader, which is comparable, and returns what
// is kept: value, or what was kept before, by another call at the same time say. What is
// kept lives as long as the entry does: a change of the service, of one of its nodes or of
// their checks makes another entry, which has nothing. A value must therefore say nothing
// that the entry and the reader do not.
func (s *Service) Derive(reader, value any) any { return s.derived.put(reader, value) }
