package check

import (
	"cmp"
	"slices"

	"herald/internal/systemtest/chaos/history"
)

// count fills in what a report says beside its verdicts.
func (r *Report) count(e *evidence) {
	c := counter{}
	for i := range e.History.KV {
		c.kv(&e.History.KV[i])
	}
	for i := range e.Added {
		c.add("write once, "+e.Added[i].Via, &e.Added[i].Span)
	}
	for i := range e.Pulsed {
		c.add("pulse "+e.Pulsed[i].Node, &e.Pulsed[i].Span)
	}
	for i := range e.Polled {
		kind := "blocking query"
		if of := e.Polled[i].Of; of != history.OneKey {
			kind += ", " + string(of)
		}
		c.add(kind, &e.Polled[i].Span)
	}
	for i := range e.Leased {
		if o := &e.Leased[i]; o.Step != history.Abandon {
			c.add(kindOf(&o.Holder)+" "+string(o.Step), &o.Span)
		}
	}
	for i := range e.Locked {
		o := &e.Locked[i]
		kind := "lock " + string(o.Step)
		if o.Session != "" {
			kind += ", session"
		}
		c.add(kind, &o.Span)
	}
	for i := range e.Registered {
		c.add("registration", &e.Registered[i].Span)
	}
	for i := range e.Asked {
		c.add("dns "+e.Asked[i].Type, &e.Asked[i].Span)
	}
	for i := range e.Streamed {
		if s := &e.Streamed[i]; s.Step == history.Delivered {
			c.of("commit watched").OK++
		}
	}
	r.Counts = c.sorted()
	faults := counter{}
	for i := range e.Faults {
		faults.of(e.Faults[i].Kind).OK++
	}
	r.Faults = faults.sorted()
	for _, o := range e.outages(e.written, 0) {
		if d := o.to - o.from; d > r.LongestOutage {
			r.LongestOutage, r.LongestAt = d, o.from
		}
	}
	if n := len(e.busy); n > 0 {
		r.Length = e.busy[n-1].to
	}
}

func kindOf(h *history.Holder) string {
	if h.Session != "" {
		return "session"
	}
	return "lease"
}

type counter map[string]*Count

func (c counter) of(kind string) *Count {
	if c[kind] == nil {
		c[kind] = &Count{Kind: kind}
	}
	return c[kind]
}

func (c counter) add(kind string, s *history.Span) {
	switch s.Outcome {
	case history.OK:
		c.of(kind).OK++
	case history.Failed:
		c.of(kind).Failed++
	default:
		c.of(kind).Unknown++
	}
}

func (c counter) kv(o *history.KV) {
	kind := "read"
	switch {
	case o.Writes() && len(o.If) > 0:
		kind = "compare and write"
	case o.Writes():
		kind = "write"
	case o.Mode != history.Linearizable:
		kind = string(o.Mode) + " read"
	}
	c.add(kind+", "+o.Via, &o.Span)
}

func (c counter) sorted() []Count {
	var all []Count
	for _, n := range c {
		all = append(all, *n)
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Compare(a.Kind, b.Kind) })
	return all
}
