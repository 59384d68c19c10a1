package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// wakeSlack is how much later than a server was seen to have a change those who wait for it there
// have to be told.
const wakeSlack = 2 * time.Second

// polls checks blocking queries. The index of a thing is never 0 and never goes back, on no
// server; what is answered is what there was at that index, and has whatever was acknowledged
// before the question; no change is slept through; and nobody is woken by nothing.
func (e *evidence) polls() Verdict {
	v := Verdict{Of: "blocking queries answered"}
	past := e.past()
	p := &polled{evidence: e, v: &v, writes: e.lastWrites(past.changed), past: past, catalog: e.watchedWhole(registry.SpaceCatalog), same: map[answered]*history.Polled{}}
	p.collect()
	last := map[int]*history.Polled{} // the query of each client before
	for i := range e.Polled {
		o := &e.Polled[i]
		p.judge(o, last[o.Client])
		last[o.Client] = o
	}
	if slices.Contains(e.Plan.Workloads, "services") && p.count[history.ServiceHealth] == 0 {
		v.Undecided = append(v.Undecided, "no query for the health of a service was answered")
	}
	v.note("answers about keys %d, prefixes %d, services %d; %d waits ended with nothing new; %d answers compared with what there was at their index, and %d rises of a service's index with what had changed",
		p.count[history.OneKey], p.count[history.KeyPrefix], p.count[history.ServiceHealth], p.quiet, p.compared, p.followed)
	return v
}

// thing is what a query asks for.
type thing struct {
	of  history.Watched
	key string
}

func thingOf(o *history.Polled) thing { return thing{o.Of, o.Key} }

func (t thing) String() string {
	if t.of == history.OneKey {
		return "key " + t.key
	}
	return string(t.of) + " " + t.key
}

// answered is an index of a thing.
type answered struct {
	thing thing
	index uint64
}

// place is a thing on a server.
type place struct {
	node  string
	thing thing
}

// polled judges blocking queries.
type polled struct {
	*evidence
	v      *Verdict
	writes map[string]watermark // acknowledged, by register
	past   past
	// catalog is nil if nobody watched all of it.
	catalog *truth
	told    map[thing]watermark // answers, of keys and prefixes
	shown   map[place]watermark // what each server was seen to have
	same    map[answered]*history.Polled
	// changes are those of each service's instances, by their ids.
	changes map[string]map[string][]*history.Registered

	count map[history.Watched]int
	// quiet waits ended with nothing new; compared answers were held against the past, and
	// followed ones against what had happened to their service.
	quiet, compared, followed int
}

// collect gathers what answers are held against.
func (p *polled) collect() {
	p.count = map[history.Watched]int{}
	told, shown := map[thing][]point{}, map[place][]point{}
	for i := range p.Polled {
		o := &p.Polled[i]
		if o.Outcome != history.OK {
			continue
		}
		pt := point{call: o.Call, ret: o.Return, rev: int64(o.Got), rec: *o}
		at := place{o.Node, thingOf(o)}
		shown[at] = append(shown[at], pt)
		if o.Of != history.ServiceHealth { // see catalog.Topic: a server may say too much
			told[at.thing] = append(told[at.thing], pt)
		}
	}
	things := p.things()
	for _, s := range p.streams() {
		for _, d := range s.delivered {
			for _, c := range d.Changes {
				for _, t := range things.touchedBy(s.begun.Space, c.Key) {
					at := place{d.Node, t}
					shown[at] = append(shown[at], point{call: d.At, ret: d.At, rev: d.Rev, rec: *d})
				}
			}
		}
	}
	p.told, p.shown = map[thing]watermark{}, map[place]watermark{}
	for t, points := range told {
		p.told[t] = newWatermark(points)
	}
	for at, points := range shown {
		p.shown[at] = newWatermark(points)
	}
	p.changes = map[string]map[string][]*history.Registered{}
	for i := range p.Registered {
		o := &p.Registered[i]
		if p.changes[o.Service] == nil {
			p.changes[o.Service] = map[string][]*history.Registered{}
		}
		p.changes[o.Service][o.Instance] = append(p.changes[o.Service][o.Instance], o)
	}
}

// judge judges a query; was is that of the same client before it.
func (p *polled) judge(o, was *history.Polled) {
	t := thingOf(o)
	if o.Closing && was != nil && was.Cut && thingOf(was) == t && o.Outcome == history.OK && o.Got > was.Index {
		p.v.add(violation(fmt.Sprintf("a query for %v slept through a change: it waited for an index above %d, and that had come to %d", t, was.Index, o.Got), *was, *o))
	}
	if o.Outcome != history.OK {
		return
	}
	p.v.Checked++
	p.count[o.Of]++
	switch {
	case o.Got == 0:
		p.v.add(violation(fmt.Sprintf("an answer about %v has no index, or 0", t), *o))
		return
	case o.Got < o.Index:
		p.v.add(violation(fmt.Sprintf("the index of %v went back from %d to %d", t, o.Index, o.Got), *o))
	case o.Got == o.Index:
		p.unchanged(o, t)
	case o.Of == history.ServiceHealth && was != nil && p.roused(o, was):
		p.v.add(violation(fmt.Sprintf("a query for %v was woken by nothing: its index went from %d to %d, and nothing of it changed between", t, o.Index, o.Got), *was, *o))
	case o.Index > 0 && o.Return-o.Call >= o.Wait:
		p.late(o, t)
	}
	if before := p.told[t].before(o.Call); before != nil && uint64(before.rev) > o.Got {
		p.v.add(violation(fmt.Sprintf("the index of %v went back from %d to %d", t, before.rev, o.Got), before.rec, *o))
	}
	if first := p.same[answered{t, o.Got}]; first == nil {
		p.same[answered{t, o.Got}] = o
	} else if !sameContent(first, o) {
		p.v.add(violation(fmt.Sprintf("two answers about %v of index %d differ", t, o.Got), *first, *o))
	}
	if o.Of == history.ServiceHealth {
		p.health(o)
	} else {
		p.keys(o, t)
	}
}

// unchanged judges an answer that says that nothing has changed.
func (p *polled) unchanged(o *history.Polled, t thing) {
	p.quiet++
	if o.Return-o.Call < o.Wait && !p.stopped(o) {
		p.v.add(violation(fmt.Sprintf("a query for %v was woken by nothing: it was to wait %v for an index above %d, and returned with that after %v", t, o.Wait, o.Index, o.Return-o.Call), *o))
	}
	at := o.Return - wakeSlack
	if seen := p.shown[place{o.Node, t}].before(at); seen != nil && uint64(seen.rev) > o.Got && !p.frozen(o.Node, span{at, o.Return}) {
		p.v.add(violation(fmt.Sprintf("a query for %v slept through a change: server %s had index %d of it, and answered %v after that with %d", t, o.Node, seen.rev, o.Return-seen.ret, o.Got), seen.rec, *o))
	}
}

// late judges an answer that came when the wait was over and has news all the same: its server may
// have had it only then, or have had no leader to ask how fresh it is.
func (p *polled) late(o *history.Polled, t thing) {
	seen := p.shown[place{o.Node, t}].above(int64(o.Index))
	if seen == nil {
		return
	}
	slept := span{max(seen.ret, o.Call), o.Return}
	if slept.to-slept.from > wakeSlack && !slices.ContainsFunc(p.Faults, func(f history.Fault) bool {
		return !slices.Contains(smallFaults, f.Kind) && f.From <= slept.to && f.Until >= slept.from
	}) {
		p.v.add(violation(fmt.Sprintf("a query for %v slept through a change: server %s had index %d of it, and it was told %v after that", t, o.Node, seen.rev, slept.to-slept.from), seen.rec, *o))
	}
}

// smallFaults leave every server able to answer.
var smallFaults = []string{"clock-jump", "clock-drift", "transfer", "compact", "snapshot"}

// stopped reports whether a server was ended in order meanwhile: it answers whoever waits.
func (p *polled) stopped(o *history.Polled) bool {
	return o.Life == 0 || p.hit(o.Node, span{o.Call, o.Return}, "restart", "member")
}

// frozen reports whether a server did not run for a part of a time.
func (p *polled) frozen(node string, s span) bool {
	return p.hit(node, s, "pause", "majority-lost")
}

func (e *evidence) hit(node string, s span, kinds ...string) bool {
	return slices.ContainsFunc(e.Faults, func(f history.Fault) bool {
		return (f.Node == node || f.Node == "") && slices.Contains(kinds, f.Kind) && f.From <= s.to && f.Until >= s.from
	})
}

// sameContent reports whether two answers have the same keys or instances.
func sameContent(a, b *history.Polled) bool {
	byID := func(a, b history.Seen) int { return cmp.Compare(a.ID, b.ID) }
	return slices.Equal(a.Cells, b.Cells) && slices.Equal(slices.SortedFunc(slices.Values(a.Instances), byID), slices.SortedFunc(slices.Values(b.Instances), byID))
}

// keys judges an answer about a key or a prefix.
func (p *polled) keys(o *history.Polled, t thing) {
	for key, writes := range p.writes {
		if !t.has(key) {
			continue
		}
		if w := writes.before(o.Call); w != nil && uint64(w.rev) > o.Got {
			p.v.add(violation(fmt.Sprintf("an answer about %v of index %d lacks a write of %s that was acknowledged before, at revision %d", t, o.Got, key, w.rev), w.rec, *o))
		}
	}
	for _, c := range o.Cells {
		if uint64(c.Rev) > o.Got {
			p.v.add(violation(fmt.Sprintf("an answer of index %d has %s", o.Got, cellText(c)), *o))
		}
	}
	p.compare(o, t)
}

// compare holds an answer against what is known of the past.
func (p *polled) compare(o *history.Polled, t thing) {
	if o.Got > math.MaxInt64 {
		return
	}
	rev := int64(o.Got)
	since := p.past.since(rev)
	if since > rev && rev >= firstRevision {
		return
	}
	p.compared++
	changed, want := p.past.at(t, since, rev)
	for _, w := range want {
		i := slices.IndexFunc(o.Cells, func(c history.Cell) bool { return c.Key == w.Key })
		is := history.Cell{Key: w.Key}
		if i >= 0 {
			is = o.Cells[i]
		}
		if is != w {
			p.v.add(violation(fmt.Sprintf("an answer about %v has %s, and at its index %d that was %s", t, cellText(is), o.Got, cellText(w)), *o))
		}
	}
	for _, c := range o.Cells {
		// Of what was written before that nothing is known.
		if c.Rev >= since && !slices.ContainsFunc(want, func(w history.Cell) bool { return w.Key == c.Key }) {
			p.v.add(violation(fmt.Sprintf("an answer about %v has %s, and the key was not written so then", t, cellText(c)), *o))
		}
	}
	if changed != rev && rev >= firstRevision {
		p.v.add(violation(fmt.Sprintf("an answer about %v has index %d, and nothing of it changed then", t, o.Got), *o))
	}
}

// has reports whether a key of the kv space belongs to a thing.
func (t thing) has(key string) bool {
	switch t.of {
	case history.OneKey:
		return key == t.key
	case history.KeyPrefix:
		return strings.HasPrefix(key, t.key)
	}
	return false
}
