package check

import (
	"cmp"
	"slices"
	"time"

	"herald/internal/systemtest/chaos/history"
)

// span is a length of time.
type span struct{ from, to time.Duration }

// overlap is how much of s lies in t.
func (s span) overlap(t span) time.Duration {
	return max(0, min(s.to, t.to)-max(s.from, t.from))
}

// needs calls f with every operation that needs a leader with a quorum, and says whether it goes
// through the log: a renewal does not, and succeeds while the leader's disk is full.
func (e *evidence) needs(f func(o *history.Span, logged bool)) {
	for i := range e.History.KV {
		if o := &e.History.KV[i]; o.Writes() {
			f(&o.Span, true)
		}
	}
	for i := range e.Added {
		f(&e.Added[i].Span, true)
	}
	for i := range e.Leased {
		if o := &e.Leased[i]; o.Step != history.Abandon {
			f(&o.Span, o.Step == history.Grant || o.Step == history.Revoke)
		}
	}
	for i := range e.Locked {
		if o := &e.Locked[i]; o.Step != history.Guard {
			f(&o.Span, o.Step != history.Hold)
		}
	}
	for i := range e.Pulsed {
		f(&e.Pulsed[i].Span, true)
	}
	for i := range e.Registered {
		f(&e.Registered[i].Span, true)
	}
}

// traffic divides the operations that need a leader into those that had one and those that had
// none, or waited for it: longer than a hiccup. The former are in order of their ends, the
// latter of their beginnings, each with the latest end of all up to it. Of the former, written
// are those that went through the log.
func (e *evidence) traffic() (busy, written, trouble []span) {
	e.needs(func(s *history.Span, logged bool) {
		at := span{s.Call, s.Return}
		if s.Outcome == history.OK {
			busy = append(busy, at)
			if logged {
				written = append(written, at)
			}
		}
		if s.Outcome != history.OK || at.to-at.from > hiccup {
			trouble = append(trouble, at)
		}
	})
	byEnd := func(a, b span) int { return cmp.Compare(a.to, b.to) }
	slices.SortFunc(busy, byEnd)
	slices.SortFunc(written, byEnd)
	slices.SortFunc(trouble, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(trouble); i++ {
		trouble[i].to = max(trouble[i].to, trouble[i-1].to)
	}
	return busy, written, trouble
}

// outages are the times longer than most in which operations were tried and none succeeded,
// each from the last success before it to the first after it. Successes are busy or written.
func (e *evidence) outages(successes []span, most time.Duration) []span {
	var gaps []span
	for i := 1; i < len(successes); i++ {
		gap := span{successes[i-1].to, successes[i].to}
		if gap.to-gap.from > most && e.tried(gap) {
			gaps = append(gaps, gap)
		}
	}
	return gaps
}

// tried reports whether any operation failed or waited in a gap.
func (e *evidence) tried(gap span) bool {
	n, _ := slices.BinarySearchFunc(e.trouble, gap.to, func(s span, to time.Duration) int { return cmp.Compare(s.from, to) })
	return n > 0 && e.trouble[n-1].to > gap.from
}
