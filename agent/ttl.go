package agent

import (
	"context"
	"fmt"
	"time"

	"herald/agent/check"
	"herald/registry"
)

// UpdateTTL implements registry.Agent. A status that is none fails with
// registry.ErrInvalidDefinition. The output is cut to what the definition allows.
// A report that repeats the last one costs nothing but the new deadline.
func (a *Agent) UpdateTTL(_ context.Context, id string, status registry.HealthStatus, output string) error {
	if !status.Valid() {
		return fmt.Errorf("check %q: %w", id, invalid("status is %q, and must be %q, %q or %q",
			string(status), registry.Passing, registry.Warning, registry.Critical))
	}
	s := &a.state
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.checks[id]
	switch {
	case c == nil:
		return fmt.Errorf("check %q: %w", id, registry.ErrCheckNotFound)
	case c.def.Kind != check.TTL:
		return fmt.Errorf("check %q is of kind %s: %w", id, c.def.Kind, registry.ErrNotTTLCheck)
	}
	now := time.Now()
	r := c.run
	r.deadline, r.reported = now.Add(c.def.TTL), now
	before := r.status
	if s.setLocked(&c.def, r, status, check.Cut(output, c.def.OutputMaxSize), now) {
		a.wakeAdvertise()
	}
	a.saver.ttlReported(status != before)
	return nil
}

// runTTL makes a ttl check critical whenever its deadline passes, until ctx ends.
// Reports only ever push the deadline out, so that it sleeps until the one it
// knows and then looks again.
func (a *Agent) runTTL(ctx context.Context, def *registry.CheckDefinition, r *run) {
	s := &a.state
	for {
		s.mu.Lock()
		deadline := r.deadline
		s.mu.Unlock()
		if !sleep(ctx, time.Until(deadline)) {
			return
		}
		a.expireTTL(def, r, time.Now())
	}
}

// expireTTL does what is due at now, and sets the next deadline.
func (a *Agent) expireTTL(def *registry.CheckDefinition, r *run, now time.Time) {
	s := &a.state
	s.mu.Lock()
	defer s.mu.Unlock()
	late := now.Sub(r.deadline)
	switch {
	case late < 0 || r.ended:
		return
	case late > stallSlack:
		// The process stood still, and could not have taken a report. What was sent
		// meanwhile is waiting, or will be sent again: the time is given back.
		r.deadline = now.Add(min(late, def.TTL))
		return
	}
	r.deadline = now.Add(def.TTL)
	before := r.status
	if s.setLocked(def, r, registry.Critical, expiredOutput(def.TTL, r), now) {
		a.wakeAdvertise()
	}
	if before != registry.Critical {
		a.saver.ttlReported(true)
	}
}

// ttlExpired begins the output of a ttl check that expired; clients look for it.
const ttlExpired = "TTL expired"

func expiredOutput(ttl time.Duration, r *run) string {
	last := r.output
	switch {
	case len(last) >= len(ttlExpired) && last[:len(ttlExpired)] == ttlExpired:
		return last // it has not been reported since
	case last == "":
		return fmt.Sprintf("%s: no report for %v", ttlExpired, ttl)
	default:
		return fmt.Sprintf("%s: no report for %v; the last one said: %s", ttlExpired, ttl, last)
	}
}
