package catalog

import (
	"sync/atomic"

	"herald/registry"
	"herald/registry/cow"
)

// Service is all instances of one name, as they stand at one revision. It is
// immutable: a change makes another Service.
type Service struct {
	// Name is spelled as the first instance spells it.
	Name string
	// Revision is that of the service's topic.
	Revision int64

	key       string                      // the folded name
	instances *cow.Map[string, *Instance] // by node, then id: Instance.full
	tags      *cow.Map[string, int]       // how many instances have each; nil if none has any

	// What is derived is built when it is first asked for. Two who ask at once may
	// build the same twice; both see a complete list.
	all     atomic.Pointer[[]*Instance]
	serving [2]atomic.Pointer[[]*Instance] // not critical, only passing
	union   atomic.Pointer[[]string]
	memo    atomic.Pointer[memo]
	derived derived
}

// Len is how many instances there are, at least 1.
func (s *Service) Len() int { return s.instances.Len() }

// Instances returns the instances by node name, then id. The slice is shared and
// must not be modified.
func (s *Service) Instances() []*Instance {
	if p := s.all.Load(); p != nil {
		return *p
	}
	all := make([]*Instance, 0, s.instances.Len())
	s.instances.Scan(func(_ string, i *Instance) bool {
		all = append(all, i)
		return true
	})
	s.all.Store(&all)
	return all
}

// Serving returns the instances that may be sent traffic, in the order of
// Instances: those that are not critical, or only those that are passing. The
// slice is shared and must not be modified.
func (s *Service) Serving(onlyPassing bool) []*Instance {
	which := &s.serving[0]
	if onlyPassing {
		which = &s.serving[1]
	}
	if p := which.Load(); p != nil {
		return *p
	}
	all := s.Instances()
	n := 0
	for _, i := range all {
		if i.serves(onlyPassing) {
			n++
		}
	}
	some := all // shared when nothing is left out, which is the common case
	if n < len(all) {
		some = make([]*Instance, 0, n)
		for _, i := range all {
			if i.serves(onlyPassing) {
				some = append(some, i)
			}
		}
	}
	which.Store(&some)
	return some
}

func (i *Instance) serves(onlyPassing bool) bool {
	return i.Status == registry.Passing || !onlyPassing && i.Status == registry.Warning
}

// Tags returns the tags of all instances, each once, sorted. The slice is shared
// and must not be modified.
func (s *Service) Tags() []string {
	if s.tags == nil {
		return nil
	}
	if p := s.union.Load(); p != nil {
		return *p
	}
	tags := s.tags.Keys()
	s.union.Store(&tags)
	return tags
}

// Memo returns what build makes, which is kept with this entry under key: an
// answer is rendered once, however many ask for it, and is forgotten when the
// service changes. What is returned is shared and must not be modified.
//
// build is called outside locks, by one caller of a key at a time; the others
// wait for it. How much is kept is bounded, so build may be called again.
func (s *Service) Memo(key string, build func() []byte) []byte {
	m := s.memo.Load()
	if m == nil {
		s.memo.CompareAndSwap(nil, &memo{})
		m = s.memo.Load()
	}
	return m.get(key, build)
}
