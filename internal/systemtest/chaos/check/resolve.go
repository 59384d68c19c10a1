package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"herald/internal/systemtest/chaos/history"
)

// value is what is known of a value that was written to a register. Values are unique, so a
// client that reads one tells of the write, whose own client may not know at what revision it
// took effect, or whether it did.
type value struct {
	write *history.KV // nil if nobody wrote it
	// rev is the revision that it was written at; 0 if nobody knows.
	rev int64
	// seen is when a read first returned it; the write had taken effect by then. 0: never.
	seen time.Duration
	by   *history.KV // the operation that rev is from
}

// resolve collects what is known of every value.
func (e *evidence) resolve() {
	e.values = make(map[string]value)
	for i := range e.History.KV {
		o := &e.History.KV[i]
		for _, w := range o.Set {
			if w.Delete {
				continue
			}
			v := e.values[w.Value]
			v.write = o
			e.values[w.Value] = v
			if o.Outcome == history.OK && !o.Missed && o.Rev > 0 {
				e.learn(w.Value, o.Rev, o)
			}
		}
		for _, c := range o.Got {
			if c.Rev == 0 {
				continue
			}
			e.learn(c.Value, c.Rev, o)
			v := e.values[c.Value]
			if v.seen == 0 || o.Return < v.seen {
				v.seen = o.Return
				e.values[c.Value] = v
			}
		}
	}
}

func (e *evidence) learn(text string, rev int64, by *history.KV) {
	v := e.values[text]
	switch {
	case v.rev == 0:
		v.rev, v.by = rev, by
		e.values[text] = v
	case v.rev != rev:
		e.clash = append(e.clash, violation(fmt.Sprintf("value %s was written once and seen at revisions %d and %d", text, v.rev, rev), *v.by, *by))
	}
}

// revOf is the revision that a write took effect at, as far as anybody knows.
func (e *evidence) revOf(o *history.KV) int64 {
	if o.Outcome == history.OK && o.Rev > 0 {
		return o.Rev
	}
	for _, w := range o.Set {
		if v := e.values[w.Value]; !w.Delete && v.rev > 0 {
			return v.rev
		}
	}
	return 0
}

// point is an operation of which it is known where in the order of all it took effect.
type point struct {
	call, ret time.Duration
	rev       int64
	write     bool // it made rev, rather than seeing it
	rec       history.Record
}

// allPoints are the points of the kv space, in order of their calls. Only what has
// certainly been acknowledged is one.
func (e *evidence) allPoints() []point {
	var all []point
	for i := range e.History.KV {
		o := &e.History.KV[i]
		if o.Outcome != history.OK || o.Mode == history.Stale {
			continue
		}
		p := point{o.Call, o.Return, o.Rev, false, *o}
		if o.Writes() && !o.Missed {
			p.rev = e.revOf(o)
			// A deletion of what was not there makes no revision.
			p.write = slices.ContainsFunc(o.Set, func(w history.Write) bool { return !w.Delete })
		}
		if p.rev > 0 {
			all = append(all, p)
		}
	}
	for i := range e.Added {
		if o := &e.Added[i]; o.Outcome == history.OK && o.Rev > 0 {
			all = append(all, point{o.Call, o.Return, o.Rev, true, *o})
		}
	}
	for i := range e.Pulsed {
		if o := &e.Pulsed[i]; o.Outcome == history.OK {
			all = append(all, point{o.Call, o.Return, o.Rev, true, *o})
		}
	}
	for i := range e.Locked {
		if o := &e.Locked[i]; o.Step == history.Acquire && o.Outcome == history.OK && !o.Missed {
			all = append(all, point{o.Call, o.Return, o.Token, true, *o})
		}
	}
	slices.SortFunc(all, func(a, b point) int { return cmp.Compare(a.call, b.call) })
	return all
}
