package check

import (
	"fmt"

	"herald/internal/systemtest/chaos/history"
)

// acks checks that every server holds, in the end, every key whose write was acknowledged, at
// the one revision it was acknowledged at; none whose write was refused; and the same keys as
// the others.
func (e *evidence) acks() Verdict {
	v := Verdict{Of: "acknowledged writes"}
	added := map[string]*history.Added{}
	for i := range e.Added {
		added[e.Added[i].Key] = &e.Added[i]
		if e.Added[i].Outcome == history.OK {
			v.Checked++
		}
	}
	held := e.listings(&v)
	for _, node := range e.Plan.Nodes {
		if held[node] == nil {
			v.Undecided = append(v.Undecided, fmt.Sprintf("there is no complete listing of what server %s held in the end", node))
		}
	}
	for i := range e.Added {
		e.ack(&v, &e.Added[i], held)
	}
	for node, keys := range held {
		for key := range keys {
			if added[key] == nil {
				v.add(violation(fmt.Sprintf("server %s holds key %s, which nobody wrote", node, key)))
			}
		}
	}
	e.writtenTwice(&v, added)
	return v
}

// listings is what each server held: the revision of each key. A server whose listing is not
// complete has none.
func (e *evidence) listings(v *Verdict) map[string]map[string]int64 {
	held := map[string]map[string]int64{}
	partial := map[string]map[string]int64{}
	for i := range e.Listed {
		l := &e.Listed[i]
		if l.Err != "" {
			v.add(violation(fmt.Sprintf("server %s could not say what it holds after writing had ended: %s", l.Node, l.Err), *l))
			continue
		}
		if partial[l.Node] == nil {
			partial[l.Node] = map[string]int64{}
		}
		for _, c := range l.Cells {
			partial[l.Node][c.Key] = c.Rev
		}
		if l.Last {
			held[l.Node] = partial[l.Node]
		}
	}
	return held
}

// ack judges one write against what the servers hold.
func (e *evidence) ack(v *Verdict, o *history.Added, held map[string]map[string]int64) {
	var rev int64
	var first string
	for _, node := range e.Plan.Nodes {
		keys := held[node]
		if keys == nil {
			continue
		}
		have := keys[o.Key]
		switch {
		case o.Outcome == history.OK && have == 0:
			v.add(violation(fmt.Sprintf("the write of %s was acknowledged, and server %s does not hold it", o.Key, node), *o))
		case o.Outcome == history.OK && o.Rev > 0 && have != o.Rev:
			v.add(violation(fmt.Sprintf("the write of %s was acknowledged at revision %d, and server %s holds it at %d", o.Key, o.Rev, node, have), *o))
		case o.Outcome == history.Failed && have != 0:
			v.add(violation(fmt.Sprintf("the write of %s was refused, which means that it has no effect, and server %s holds it at revision %d", o.Key, node, have), *o))
		case first != "" && have != rev:
			v.add(violation(fmt.Sprintf("server %s holds %s at revision %d, and server %s at %d (0 is not at all)", first, o.Key, rev, node, have), *o))
		}
		if first == "" {
			first, rev = node, have
		}
	}
}

// writtenTwice finds keys that watches saw put more than once, though their client sent one
// request.
func (e *evidence) writtenTwice(v *Verdict, added map[string]*history.Added) {
	at := map[string]int64{}
	for i := range e.Streamed {
		for _, c := range e.Streamed[i].Changes {
			o := added[c.Key]
			if o == nil || c.Delete {
				continue
			}
			if was, ok := at[c.Key]; ok && was != c.Mod {
				v.add(violation(fmt.Sprintf("key %s was written once and put at revisions %d and %d", c.Key, was, c.Mod), *o, e.Streamed[i]))
			}
			at[c.Key] = c.Mod
		}
	}
}
