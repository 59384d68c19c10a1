package check

import (
	"fmt"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// polls checks blocking queries: the index of a key never goes back, what is answered is what
// the key was, and no change is slept through.
func (e *evidence) polls() Verdict {
	v := Verdict{Of: "blocking queries answered"}
	t := newTruths(&Verdict{}, e.streams())[registry.SpaceKV]
	last := map[int]*history.Polled{} // the query of each client before
	for i := range e.Polled {
		o := &e.Polled[i]
		was := last[o.Client]
		last[o.Client] = o
		if o.Closing && was != nil && was.Cut && o.Outcome == history.OK && o.Got > was.Index {
			v.add(violation(fmt.Sprintf("a query for key %s slept through a change: it waited for an index above %d, and the key came to %d", o.Key, was.Index, o.Got), *was, *o))
		}
		if o.Outcome != history.OK {
			continue
		}
		v.Checked++
		if o.Got < o.Index {
			v.add(violation(fmt.Sprintf("the index of key %s went back from %d to %d", o.Key, o.Index, o.Got), *o))
		}
		if o.Cell.Rev == 0 {
			continue
		}
		if uint64(o.Cell.Rev) > o.Got {
			v.add(violation(fmt.Sprintf("an answer of index %d has %s", o.Got, cellText(o.Cell)), *o))
		}
		if t == nil || o.Cell.Rev > t.dense {
			continue
		}
		if c, ok := t.commits[o.Cell.Rev][o.Key]; !ok || c.Delete || c.Value != o.Cell.Value {
			v.add(violation(fmt.Sprintf("an answer has %s, and the key was not written so then", cellText(o.Cell)), *o))
		}
	}
	return v
}
