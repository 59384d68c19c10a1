package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// tenure is one holding of a lock.
type tenure struct {
	*history.Locked
	// until is up to when it was held for certain: the lease had been renewed, and nothing was
	// sent to end it. It is before Return if there is no such time.
	until time.Duration
}

// locks checks that nobody takes a lock while another holds it for certain, that tokens and
// counts rise with every holder, and that no holder is refused while it certainly holds.
func (e *evidence) locks() Verdict {
	v := Verdict{Of: "holders of locks"}
	byLock := map[string][]*tenure{}
	byLease := map[registry.LeaseID]*tenure{}
	for i := range e.Locked {
		o := &e.Locked[i]
		if o.Step == history.Acquire && o.Outcome == history.OK && !o.Missed {
			t := &tenure{o, -1}
			byLock[o.Lock] = append(byLock[o.Lock], t)
			byLease[o.Lease] = t
		}
	}
	for i := range e.Locked {
		if o := &e.Locked[i]; byLease[o.Lease] != nil && o.Step != history.Acquire {
			byLease[o.Lease].follow(&v, o, e.Plan.Drift)
		}
	}
	for _, tenures := range byLock {
		slices.SortFunc(tenures, func(a, b *tenure) int { return cmp.Compare(a.Token, b.Token) })
		for i, t := range tenures {
			if t.until >= t.Return {
				v.Checked++
			}
			t.compare(&v, tenures[i+1:])
		}
	}
	return v
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
			t.until = max(t.until, o.Call+time.Duration(float64(o.TTL)*(1-drift)))
		}
	case history.Release:
		if o.Outcome == history.OK && o.Missed {
			lost("there was nothing to release")
		}
		// From here on nothing is certain, whatever came of it.
		t.until = min(t.until, o.Call)
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
		}
		if n.Call > t.until && n.Call > t.Return {
			return
		}
	}
}

func who(o *history.Locked) string { return fmt.Sprintf("client %d", o.Client) }
