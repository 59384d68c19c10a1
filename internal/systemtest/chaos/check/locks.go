package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"herald/internal/systemtest/chaos/history"
)

// tenure is one holding of a lock.
type tenure struct {
	*history.Locked
	// until is up to when it was held for certain: the lease had been renewed, and nothing was
	// sent to end it. It is before Return if there is no such time.
	until time.Duration
	// barred is up to when nobody else can have it: until, and the lock delay of a session
	// that ends with the lock.
	barred time.Duration
}

// locks checks locks that are held with leases: see holders.
func (e *evidence) locks() Verdict {
	v := Verdict{Of: "holders of locks"}
	e.holders(&v, false)
	return v
}

// holders checks that nobody takes a lock while another holds it for certain, or before the lock
// delay is over of one that lost it, that tokens and counts rise with every holder, and that no
// holder is refused while it certainly holds. It judges the locks that are held with sessions,
// or those that are held with leases, and returns how often a lock delay was to be kept.
func (e *evidence) holders(v *Verdict, sessions bool) (delays int) {
	byLock := map[string][]*tenure{}
	byHolder := map[history.Holder]*tenure{}
	for i := range e.Locked {
		o := &e.Locked[i]
		if o.Step == history.Acquire && o.Outcome == history.OK && !o.Missed && (o.Session != "") == sessions {
			t := &tenure{o, -1, -1}
			byLock[o.Lock] = append(byLock[o.Lock], t)
			byHolder[o.Holder] = t
		}
	}
	for i := range e.Locked {
		if o := &e.Locked[i]; byHolder[o.Holder] != nil && o.Step != history.Acquire {
			byHolder[o.Holder].follow(v, o, e.Plan.Drift)
		}
	}
	for _, tenures := range byLock {
		slices.SortFunc(tenures, func(a, b *tenure) int { return cmp.Compare(a.Token, b.Token) })
		for i, t := range tenures {
			if t.until >= t.Return {
				v.Checked++
			}
			t.compare(v, tenures[i+1:])
			if t.barred > t.until && i+1 < len(tenures) {
				delays++
			}
		}
	}
	return delays
}

// follow takes in what the holder did next.
func (t *tenure) follow(v *Verdict, o *history.Locked, drift float64) {
	lost := func(what string) {
		if o.Return <= t.until {
			v.add(violation(fmt.Sprintf("%s lost lock %s while it held it for certain: %s", who(t.Locked), t.Lock, what), *t.Locked, *o))
		}
	}
	switch o.Step {
	case history.Hold:
		switch {
		case o.Outcome != history.OK:
		case o.Missed:
			lost("its lease was gone")
		default:
			t.until = max(t.until, o.Call+scaled(o.TTL, drift))
			t.barred = max(t.barred, o.Call+scaled(o.TTL+t.Delay, drift))
		}
	case history.Release:
		if o.Outcome == history.OK && o.Missed {
			lost("there was nothing to release")
		}
		// From here on nothing is certain, whatever came of it.
		t.until = min(t.until, o.Call)
		t.barred = min(t.barred, o.Call)
	case history.End:
		if o.Outcome == history.OK && o.Missed {
			lost("its session was gone")
		}
		t.until = min(t.until, o.Call)
		t.barred = min(t.barred, o.Call+scaled(t.Delay, drift))
	case history.Guard:
		if o.Missed {
			lost("what it protects had seen a higher token")
		}
	}
}

// compare looks for later holders that came too early.
func (t *tenure) compare(v *Verdict, later []*tenure) {
	for i, n := range later {
		switch {
		case n.Token == t.Token:
			v.add(violation(fmt.Sprintf("lock %s was given twice with token %d", t.Lock, t.Token), *t.Locked, *n.Locked))
		case i == 0 && n.Count <= t.Count:
			v.add(violation(fmt.Sprintf("lock %s was taken at revision %d for the %d. time, and at revision %d for the %d. time", t.Lock, t.Token, t.Count, n.Token, n.Count), *t.Locked, *n.Locked))
		case n.Return < t.Call:
			v.add(violation(fmt.Sprintf("the token of lock %s went back from %d to %d", t.Lock, n.Token, t.Token), *n.Locked, *t.Locked))
		case n.Return <= t.until:
			v.add(violation(fmt.Sprintf("%s took lock %s while %s held it for certain, until %v", who(n.Locked), t.Lock, who(t.Locked), t.until), *t.Locked, *n.Locked))
		case n.Return <= t.barred:
			v.add(violation(fmt.Sprintf("%s took lock %s, which %s had lost and not given back, within the lock delay of %v: not before %v", who(n.Locked), t.Lock, who(t.Locked), t.Delay, t.barred), *t.Locked, *n.Locked))
		}
		if n.Call > t.barred && n.Call > t.until && n.Call > t.Return {
			return
		}
	}
}

func who(o *history.Locked) string { return fmt.Sprintf("client %d", o.Client) }

// scaled is how long a time is at least, measured by a clock that may be fast.
func scaled(d time.Duration, drift float64) time.Duration {
	return time.Duration(float64(d) * (1 - drift))
}
