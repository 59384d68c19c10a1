package check

import (
	"fmt"
	"time"

	"herald/internal/systemtest/chaos/history"
)

const (
	// grace is what a dead client's keys may outlive the lease by, besides outages.
	grace = 2 * time.Second
	// recovery is how much of a time without a successful write a leader may count all the
	// same. It does not know at once that it stands alone, nor that it was stopped, and it
	// counts again before the first write succeeds.
	recovery = time.Second
	// hiccup is the longest time without a success that is not an outage.
	hiccup = 300 * time.Millisecond
)

// leases checks that a client which keeps renewing never loses its lease, and that the keys of
// one that stopped are gone within the time to live, the outages, and 2 s.
//
// What a client can count on: the time to live from before it sent the last renewal that
// succeeded, not counting the time in which nobody could renew anything. A new leader starts
// every lease anew, which a client that waits for another's death has to put up with.
func (e *evidence) leases() Verdict {
	v := Verdict{Of: "renewals, and deaths seen to the end"}
	e.lives(&v, false)
	return v
}

// lives judges the lives of sessions, or those of leases.
func (e *evidence) lives(v *Verdict, sessions bool) {
	l := &lessor{
		evidence: e, v: v, held: map[history.Holder]*tenancy{},
		// Renewals end an outage for those who live, and writes for the dead: the end of a
		// lease is one.
		short: e.outages(e.busy, recovery), long: e.outages(e.written, hiccup),
	}
	for i := range e.Leased {
		if o := &e.Leased[i]; (o.Session != "") == sessions {
			l.follow(o)
		}
	}
	if l.slow > 0 {
		v.note("%d clients did not renew in time, through no fault of the servers that could be shown, and lost what they held", l.slow)
	}
	if l.died == 0 {
		v.note("nothing that was abandoned was followed to its end")
	}
}

// lessor judges leases.
type lessor struct {
	*evidence
	v           *Verdict
	held        map[history.Holder]*tenancy
	short, long []span // outages: at least these, but for recovery, and at most these
	slow, died  int
}

// tenancy is what is known of a lease.
type tenancy struct {
	sure *history.Leased // the last success, by which it lives
	// last is when the last renewal that may have taken effect can have done so.
	last    time.Duration
	dead    bool // the client has stopped, or lost it
	revoked bool
}

func (l *lessor) follow(o *history.Leased) {
	t := l.held[o.Holder]
	if o.Step == history.Grant {
		if o.Outcome == history.OK {
			l.held[o.Holder] = &tenancy{sure: o, last: o.Return}
		}
		return
	}
	if t == nil || t.revoked {
		return
	}
	switch o.Step {
	case history.Abandon:
		t.dead = true
	case history.Revoke:
		t.revoked = true
	case history.Renew:
		if o.Outcome != history.Failed {
			t.last = max(t.last, l.effective(o))
		}
		if o.Outcome != history.OK {
			return
		}
		if o.Gone {
			l.lost(t, o)
			return
		}
		l.v.Checked++
		t.sure = o
	case history.Look:
		l.look(t, o)
	}
}

// effective is when a renewal has taken effect at the latest, if it ever does. One that a frozen
// server was sent is carried out when it thaws, though its client has given it up by then.
func (l *lessor) effective(o *history.Leased) time.Duration {
	at := o.Return
	if o.Outcome == history.OK {
		return at
	}
	for _, f := range l.Faults {
		freezes := f.Kind == "pause" && f.Node == o.Node || f.Kind == "majority-lost"
		if freezes && f.From < o.Return && f.Until > o.Call {
			at = max(at, f.Until+o.Return-o.Call)
		}
	}
	return at
}

// look judges what a read of the keys found.
func (l *lessor) look(t *tenancy, o *history.Leased) {
	if o.Outcome != history.OK {
		return
	}
	switch {
	case o.Gone && t.dead:
		// It may be gone as soon as it was not renewed in time, no sooner. Outages are not
		// credited to the dead.
		l.early(t, o, "of an abandoned lease", nil)
		l.v.Checked++
		l.died++
		t.revoked = true
	case o.Gone:
		l.lost(t, o)
	case t.dead && o.Call > l.deadline(t):
		l.v.add(violation(fmt.Sprintf("a client stopped renewing %s (time to live %v) at %v, and its keys were still there at %v, when they should have been gone by %v",
			o.Name(), o.TTL, t.last, o.Call, l.deadline(t)), *t.sure, *o))
		t.revoked = true
	}
}

// lost judges the loss of a lease by a client that had not stopped.
func (l *lessor) lost(t *tenancy, o *history.Leased) {
	t.revoked = true
	if !l.early(t, o, "of a client that goes on renewing", l.short) {
		l.slow++
	}
}

// early reports a lease that ended before it could, where outages do not count.
func (l *lessor) early(t *tenancy, gone *history.Leased, whose string, outages []span) bool {
	lived := span{t.sure.Call, gone.Return}
	charged := lived.to - lived.from
	for _, o := range outages {
		charged -= max(0, lived.overlap(o)-recovery)
	}
	if charged >= time.Duration(float64(gone.TTL)*(1-l.Plan.Drift)) {
		return false
	}
	l.v.add(violation(fmt.Sprintf("%s %s ended early: its time to live is %v, and of the %v since it was last renewed only %v count",
		gone.Name(), whose, gone.TTL, lived.to-lived.from, charged), *t.sure, *gone))
	return true
}

// deadline is when the keys of a lease that is renewed no more have to be gone.
func (l *lessor) deadline(t *tenancy) time.Duration {
	life := time.Duration(float64(t.sure.TTL)*l.slack()) + grace
	from := t.last
	end := from + life + l.outage(span{from, from + life})
	for _, led := range l.Led {
		// Seen to lead: it may have begun a little earlier, and the other may have
		// ended a little later.
		if led.At > from && led.At <= end+time.Second {
			from = led.At
			end = max(end, from+life+l.outage(span{from, from + life}))
		}
	}
	return end
}

// outage is how long nothing succeeded from the start of s, extending s by what there was.
func (l *lessor) outage(s span) (total time.Duration) {
	for _, o := range l.long {
		if o.from > s.to+total {
			break
		}
		if o.to > s.from {
			total += o.to - max(o.from, s.from)
		}
	}
	return total
}
