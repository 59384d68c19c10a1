package catalog

import (
	"slices"

	"herald/registry/cow"
)

// goneMost bounds how many names are remembered that no longer exist: names may
// come and go for ever.
const goneMost = 1 << 16

// gone has the topic revisions of what does not exist. Names beyond goneMost
// are forgotten, oldest first, and take the highest revision of any that was, as
// does a name that never existed: too high is safe, too low is not.
type gone struct {
	names *cow.Map[string, int64]
	rest  int64 // for every name that is not among names; at most what any of those has
}

func noneGone() gone { return gone{names: new(cow.Map[string, int64]), rest: 1} }

func (g gone) revision(name string) int64 {
	if r, ok := g.names.Get(name); ok {
		return r
	}
	return g.rest
}

func (g gone) copy() gone { return gone{names: g.names.Copy(), rest: g.rest} }

// add remembers that name went at a revision. It reports whether the revisions
// of other names rose, since some had to be forgotten.
func (g *gone) add(name string, revision int64) (others bool) {
	g.names.Set(name, revision)
	if g.names.Len() <= goneMost {
		return false
	}
	// Forgetting half at once makes this rare.
	revisions := g.names.Values()
	slices.Sort(revisions)
	middle := revisions[len(revisions)/2]
	names, at := g.names.KeyValues()
	for i, n := range names {
		if at[i] <= middle {
			g.names.Delete(n)
		}
	}
	g.rest = max(g.rest, middle)
	return true
}

func (g *gone) remove(name string) { g.names.Delete(name) }
