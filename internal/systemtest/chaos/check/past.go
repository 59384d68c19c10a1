package check

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// past is what every key of the kv space was, as far as that is known: those who watch miss
// revisions that are compacted before they come to them.
type past struct {
	known *truth // nil if nobody watched everything
	// starts are, for each of the known revisions, where those without a gap before it begin.
	starts  []int64
	keys    []string // all that are known to have been, sorted
	changes map[string][]history.Change
}

// watchedWhole is what happened to a space as those say who watched all of it: others leave out a
// part of a commit. It is nil if there was nobody.
func (e *evidence) watchedWhole(space registry.Space) *truth {
	all := slices.DeleteFunc(e.streams(), func(s *stream) bool {
		return s.begun.Space != space || s.begun.Range() != registry.All()
	})
	return newTruths(&Verdict{}, all)[space]
}

func (e *evidence) past() past {
	p := past{known: e.watchedWhole(registry.SpaceKV), changes: map[string][]history.Change{}}
	if p.known == nil {
		return p
	}
	for i, rev := range p.known.revs {
		p.starts = append(p.starts, rev)
		if i > 0 && p.known.revs[i-1] == rev-1 {
			p.starts[i] = p.starts[i-1]
		}
		for key, c := range p.known.commits[rev] {
			p.changes[key] = append(p.changes[key], c.Change)
		}
	}
	p.keys = slices.Sorted(maps.Keys(p.changes))
	return p
}

// changed reports whether a key is known to have changed at a revision.
func (p *past) changed(key string, rev int64) bool {
	if p.known == nil {
		return false
	}
	_, ok := p.known.commits[rev][key]
	return ok
}

// since is the first revision from which on all up to rev are known; above rev if it is not.
func (p *past) since(rev int64) int64 {
	if p.known == nil {
		return rev + 1
	}
	i, ok := slices.BinarySearch(p.known.revs, rev)
	if !ok {
		return rev + 1
	}
	return p.starts[i]
}

// at is what there was of a key or prefix at a revision: the keys of which that is known for
// certain, since they changed at or after the revision since, absent ones with Rev 0; and when
// any was last known to have changed, 0 for never.
func (p *past) at(t thing, since, rev int64) (changed int64, cells []history.Cell) {
	first, _ := slices.BinarySearch(p.keys, t.key)
	for _, key := range p.keys[first:] {
		if !strings.HasPrefix(key, t.key) {
			break
		}
		if !t.has(key) {
			continue
		}
		all := p.changes[key]
		n := sort.Search(len(all), func(i int) bool { return all[i].Mod > rev })
		if n == 0 || all[n-1].Mod < since {
			continue
		}
		last := &all[n-1]
		changed = max(changed, last.Mod)
		cell := history.Cell{Key: key}
		if !last.Delete {
			cell.Value, cell.Rev = last.Value, last.Mod
		}
		cells = append(cells, cell)
	}
	return changed, cells
}

// things are those that are asked for, by what touches them.
type things struct {
	keys     map[string]thing
	prefixes []thing
	services []thing
}

func (e *evidence) things() things {
	all := things{keys: map[string]thing{}}
	seen := map[thing]bool{}
	for i := range e.Polled {
		t := thingOf(&e.Polled[i])
		if seen[t] {
			continue
		}
		seen[t] = true
		switch t.of {
		case history.OneKey:
			all.keys[t.key] = t
		case history.KeyPrefix:
			all.prefixes = append(all.prefixes, t)
		case history.ServiceHealth:
			all.services = append(all.services, t)
		}
	}
	slices.SortFunc(all.prefixes, func(a, b thing) int { return strings.Compare(a.key, b.key) })
	return all
}

// touchedBy are the things that a change of a key belongs to.
func (a *things) touchedBy(space registry.Space, key string) (touched []thing) {
	switch space {
	case registry.SpaceKV:
		if t, ok := a.keys[key]; ok {
			touched = append(touched, t)
		}
		// The prefixes of registers hold no others: the one that may hold a key is the last
		// that is not after it.
		n := sort.Search(len(a.prefixes), func(i int) bool { return a.prefixes[i].key > key })
		if n > 0 && a.prefixes[n-1].has(key) {
			touched = append(touched, a.prefixes[n-1])
		}
	case registry.SpaceCatalog:
		for _, t := range a.services {
			if t.owns(key) {
				touched = append(touched, t)
			}
		}
	}
	return touched
}
