package check

import (
	"fmt"
	"slices"
	"strings"

	"herald/internal/systemtest/chaos/history"
)

// state is what an instance can be.
type state string

const (
	absent state = "absent"
	sick   state = "sick"
	well   state = "well"
)

func stateAfter(o *history.Registered) state {
	switch {
	case o.Gone:
		return absent
	case o.Sick:
		return sick
	}
	return well
}

// health judges an answer about a service: each instance is what it was made by the last change
// that was acknowledged before the question, or by one that may have come after that.
func (p *polled) health(o *history.Polled) {
	seen := map[string]state{}
	for _, i := range o.Instances {
		seen[i.ID] = well
		if i.Sick {
			seen[i.ID] = sick
		}
		if p.changes[o.Key][i.ID] == nil {
			p.v.add(violation(fmt.Sprintf("an answer about service %s has instance %s, which nobody registered", o.Key, i.ID), *o))
		}
	}
	for id, changes := range p.changes[o.Key] {
		is := seen[id]
		if is == "" {
			is = absent
		}
		last, can := possible(changes, span{o.Call, o.Return})
		if can[is] {
			continue
		}
		x := violation(fmt.Sprintf("an answer about service %s has instance %s %s, which it was not at any time from the question to the answer", o.Key, id, is), *o)
		if last != nil {
			x.Proof = append(x.Proof, history.Cite(*last))
		}
		p.v.add(x)
	}
}

// roused reports whether a service's index rose on a server without a change of the service; was is
// the answer that the client had before. The indexes of one start of a server can be compared, and
// those of two cannot.
func (p *polled) roused(o, was *history.Polled) bool {
	if p.catalog == nil || was.Outcome != history.OK || thingOf(was) != thingOf(o) || was.Got != o.Index ||
		o.Index == 0 || was.Node != o.Node || was.Life == 0 || was.Life != o.Life {
		return false
	}
	between := p.catalog.between(int64(o.Index)+1, int64(o.Got))
	if uint64(len(between)) != o.Got-o.Index {
		return false // what happened is not known
	}
	p.followed++
	return !slices.ContainsFunc(between, func(rev int64) bool {
		for key := range p.catalog.commits[rev] {
			if thingOf(o).owns(key) {
				return true
			}
		}
		return false
	})
}

// possible are the states that an instance may be seen in during a time, and the last change that
// is certain to have come before. The changes are those of one client, one after the other; one
// of unknown outcome may take effect at any time after it was sent.
func possible(changes []*history.Registered, s span) (last *history.Registered, can map[state]bool) {
	for _, c := range changes {
		if c.Outcome == history.OK && c.Return < s.from {
			last = c
		}
	}
	can = map[state]bool{}
	if last == nil {
		can[absent] = true
	} else {
		can[stateAfter(last)] = true
	}
	for _, c := range changes {
		over := c.Outcome == history.OK && last != nil && c.Return <= last.Call
		if c.Outcome != history.Failed && c.Call < s.to && !over {
			can[stateAfter(c)] = true
		}
	}
	return last, can
}

// owns reports whether a key of the catalog belongs to a service. Such keys have the names of its
// nodes, which begin with its own.
func (t thing) owns(key string) bool {
	return t.of == history.ServiceHealth && strings.Contains(key, "\x00"+t.key+"-")
}
