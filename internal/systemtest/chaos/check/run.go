package check

import (
	"fmt"
	"slices"

	"herald/internal/systemtest/chaos/history"
)

// The checks, by name.
const (
	// KV is the linearizability of the registers.
	KV = "kv"
	// Order is that revisions rise in the order in which operations follow each other.
	Order = "order"
	// Stale is what stale reads promise.
	Stale = "stale"
	// Acks is that every acknowledged write is on every server, and no refused one.
	Acks = "acks"
	// Watches is that watch streams are complete, in order and without duplicates.
	Watches = "watches"
	// Polls is that blocking queries tell of every change.
	Polls = "polls"
	// Locks is that a lock has one holder, and tokens rise.
	Locks = "locks"
	// Leases is that those who live keep their leases, and those who die lose them.
	Leases = "leases"
	// Sessions is what Locks and Leases are, of the HTTP API's sessions, and that lock delays
	// are kept.
	Sessions = "sessions"
	// DNS is that a service with a healthy instance is never said not to exist.
	DNS = "dns"
	// Hashes is that servers that applied the same are in the same state.
	Hashes = "hashes"
)

// checks says which checks the histories of a workload have to pass.
var checks = []struct {
	name      string
	workloads []string // any of them
	check     func(*evidence) Verdict
}{
	{KV, []string{"kv"}, (*evidence).kv},
	{Order, []string{"kv", "acks"}, (*evidence).order},
	{Stale, []string{"kv"}, (*evidence).stale},
	{Acks, []string{"acks"}, (*evidence).acks},
	{Watches, []string{"watches"}, (*evidence).watches},
	{Polls, []string{"polls"}, (*evidence).polls},
	{Locks, []string{"locks"}, (*evidence).locks},
	{Leases, []string{"leases"}, (*evidence).leases},
	{Sessions, []string{"sessions"}, (*evidence).sessions},
	{DNS, []string{"services"}, (*evidence).dns},
	{Hashes, []string{"hashes"}, (*evidence).hashes},
}

// evidence is a history, and what follows from it for several checks.
type evidence struct {
	*history.History
	values map[string]value // of registers, by what was written
	clash  []Violation      // values that were seen at two revisions
	points []point
	// What is known of whether there was a leader: see traffic.
	busy, written, trouble []span
}

// All checks the history of a directory.
func All(dir string) (*Report, error) {
	h, err := history.Read(dir)
	if err != nil {
		return nil, err
	}
	return Run(h), nil
}

// Run checks a history for everything that its plan says was done.
func Run(h *history.History) *Report {
	e := newEvidence(h)
	r := &Report{}
	for _, c := range checks {
		if !slices.ContainsFunc(c.workloads, func(w string) bool { return slices.Contains(h.Plan.Workloads, w) }) {
			continue
		}
		v := c.check(e)
		v.Check = c.name
		r.Verdicts = append(r.Verdicts, v)
	}
	r.count(e)
	return r
}

func newEvidence(h *history.History) *evidence {
	e := &evidence{History: h}
	e.resolve()
	e.points = e.allPoints()
	e.busy, e.written, e.trouble = e.traffic()
	return e
}

// slack is by how much a time measured by a server may be longer than by ours.
func (e *evidence) slack() float64 { return 1 / (1 - e.Plan.Drift) }

func cellText(c history.Cell) string {
	if c.Rev == 0 {
		return fmt.Sprintf("%s absent", c.Key)
	}
	return fmt.Sprintf("%s=%s at revision %d", c.Key, c.Value, c.Rev)
}
