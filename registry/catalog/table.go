package catalog

import "hash/maphash"

// table finds a service by its folded name in a time that does not grow with how
// many there are: 2^14 short lists, by hash, in two levels. An ordered tree would
// compare the name with a score of others, each a cache miss in a large catalog.
// Like all of an index it is copied on write: a change copies its list and the
// 4 KiB on the way to it, once for a whole batch.
type table struct {
	root *tableRoot
}

const tableBits = 7

type tableRoot [1 << tableBits]*tableBranch

type tableBranch [1 << tableBits][]tableEntry

type tableEntry struct {
	hash uint64
	s    *Service
}

// tableSeed makes it impossible to choose names that meet in one list.
var tableSeed = maphash.MakeSeed()

func tableHash(key string) uint64 { return maphash.String(tableSeed, key) }

func tablePlace(hash uint64) (root, branch int) {
	const mask = 1<<tableBits - 1
	return int(hash & mask), int(hash >> tableBits & mask)
}

// list is that of a hash, to be read only.
func (t table) list(hash uint64) []tableEntry {
	root, branch := tablePlace(hash)
	if t.root == nil || t.root[root] == nil {
		return nil
	}
	return t.root[root][branch]
}

func (t table) get(key string) *Service {
	hash := tableHash(key)
	for _, e := range t.list(hash) {
		if e.hash == hash && e.s.key == key {
			return e.s
		}
	}
	return nil
}

// tableEdit is a table that is being changed. What it says is its own nobody else
// sees yet.
type tableEdit struct {
	table
	ownRoot bool
	own     [1 << tableBits]bool
}

// ownList is that of a hash, to be changed.
func (t *tableEdit) ownList(hash uint64) *[]tableEntry {
	root, branch := tablePlace(hash)
	if !t.ownRoot {
		own := &tableRoot{}
		if t.root != nil {
			*own = *t.root
		}
		t.root, t.ownRoot = own, true
	}
	if !t.own[root] {
		own := &tableBranch{}
		if b := t.root[root]; b != nil {
			*own = *b
		}
		t.root[root], t.own[root] = own, true
	}
	return &t.root[root][branch]
}

// set puts s in the place of the service of its name.
func (t *tableEdit) set(s *Service) {
	hash := tableHash(s.key)
	list := t.ownList(hash)
	next := make([]tableEntry, 0, len(*list)+1)
	next = append(without(next, *list, hash, s.key), tableEntry{hash, s})
	*list = next
}

// remove removes the service of a name, if there is one.
func (t *tableEdit) remove(key string) {
	hash := tableHash(key)
	list := t.ownList(hash)
	next := without(make([]tableEntry, 0, len(*list)), *list, hash, key)
	if len(next) == 0 {
		next = nil
	}
	*list = next
}

func without(next, list []tableEntry, hash uint64, key string) []tableEntry {
	for _, e := range list {
		if e.hash != hash || e.s.key != key {
			next = append(next, e)
		}
	}
	return next
}
