package check

import (
	"fmt"
	"slices"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// truth is what happened to a space, as all who watched it say together.
type truth struct {
	commits map[int64]map[string]reported // by revision and key
	revs    []int64                       // of commits, ascending
	// dense is up to which revision, from the first on, nothing is missing.
	dense int64
}

// firstRevision is that of the first commit: an empty space is at revision 1.
const firstRevision = 2

// reported is a change, and the record that tells of it.
type reported struct {
	history.Change
	by *history.Streamed
}

// stream is one watcher of the store.
type stream struct {
	begun     *history.Streamed
	delivered []*history.Streamed
	// upTo is up to which revision everything should have been delivered.
	upTo int64
}

// streams takes the records of watching clients apart.
func (e *evidence) streams() []*stream {
	var all []*stream
	open := map[int]*stream{}
	for i := range e.Streamed {
		s := &e.Streamed[i]
		o := open[s.Client]
		switch s.Step {
		case history.Begun:
			o = &stream{begun: s}
			open[s.Client] = o
			all = append(all, o)
		case history.Delivered:
			if o != nil {
				o.delivered = append(o.delivered, s)
				o.upTo = max(o.upTo, s.Rev)
			}
		case history.Ended:
			if o != nil {
				o.upTo = max(o.upTo, s.Synced)
			}
			delete(open, s.Client)
		}
	}
	return all
}

// newTruths puts together what the streams report. Where two contradict each other, the
// verdict says so.
func newTruths(v *Verdict, streams []*stream) map[registry.Space]*truth {
	truths := map[registry.Space]*truth{}
	for _, s := range streams {
		t := truths[s.begun.Space]
		if t == nil {
			t = &truth{commits: map[int64]map[string]reported{}, dense: firstRevision - 1}
			truths[s.begun.Space] = t
		}
		for _, d := range s.delivered {
			if t.commits[d.Rev] == nil {
				t.commits[d.Rev] = map[string]reported{}
				t.revs = append(t.revs, d.Rev)
			}
			for _, c := range d.Changes {
				was, ok := t.commits[d.Rev][c.Key]
				if ok && was.Change != c {
					v.add(violation(fmt.Sprintf("two watchers tell different things of key %s at revision %d", c.Key, d.Rev), *was.by, *d))
				}
				if !ok {
					t.commits[d.Rev][c.Key] = reported{c, d}
				}
			}
		}
	}
	for _, t := range truths {
		slices.Sort(t.revs)
		for _, rev := range t.revs {
			if rev != t.dense+1 {
				break
			}
			t.dense = rev
		}
	}
	return truths
}

// between are the revisions from one to another, both included.
func (t *truth) between(from, to int64) []int64 {
	lo, _ := slices.BinarySearch(t.revs, from)
	hi, _ := slices.BinarySearch(t.revs, to+1)
	if lo >= hi {
		return nil
	}
	return t.revs[lo:hi]
}

// within counts the changes of a commit that lie in a range.
func within(commit map[string]reported, keys registry.KeyRange) (n int) {
	for k := range commit {
		if keys.Contains(k) {
			n++
		}
	}
	return n
}
