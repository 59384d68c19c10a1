package skydns

import (
	"herald/registry"
	"herald/registry/cow"
)

// builder makes trees, each of the one before and what was written since. It belongs to one goroutine.
type builder struct {
	prefix   Prefix
	records  cow.Set[*Record]
	revision int64
	// refused are the keys that are no names and those whose values are no records, each with the revision that wrote it.
	refused map[string]int64
	// refuse is told of each of these, when it is first seen. told are those that another builder has told of.
	refuse func(error)
	told   map[string]int64
}

func newBuilder(p Prefix, refuse func(error)) *builder {
	return &builder{prefix: p, refused: map[string]int64{}, refuse: refuse}
}

// again begins anew, but does not tell again of what b has told of.
func (b *builder) again() *builder {
	next := newBuilder(b.prefix, b.refuse)
	next.told = b.refused
	return next
}

// put takes in a key as it is now.
func (b *builder) put(kv *registry.KeyValue) {
	r, err := newRecord(b.prefix, kv)
	if err == nil {
		b.records.Set(r)
		delete(b.refused, kv.Key)
		return
	}
	b.remove(kv.Key)
	if b.refused[kv.Key] != kv.ModRevision && b.told[kv.Key] != kv.ModRevision {
		b.refuse(err)
	}
	b.refused[kv.Key] = kv.ModRevision
}

// delete takes out a key.
func (b *builder) delete(key string) {
	b.remove(key)
	delete(b.refused, key)
}

func (b *builder) remove(key string) {
	if k, _, err := b.prefix.recordKey(key); err == nil {
		b.records.Delete(k)
	}
}

// commit applies what one transaction did to keys below the prefix.
func (b *builder) commit(c *registry.Commit) {
	for i := range c.Events {
		e := &c.Events[i]
		if e.Type == registry.EventDelete {
			b.delete(e.KV.Key)
		} else {
			b.put(&e.KV)
		}
	}
	if len(c.Events) > 0 {
		b.revision = c.Revision
	}
}

// tree is what there is now.
func (b *builder) tree() *Tree { return &Tree{b.records.Copy(), b.revision} }
