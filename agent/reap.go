package agent

import (
	"context"
	"slices"
	"time"
)

// reap withdraws services whose check has been critical for longer than its
// definition's DeregisterAfter.
func (a *Agent) reap(ctx context.Context) {
	for {
		before := time.Now()
		if !sleep(ctx, reapEvery) {
			return
		}
		if time.Since(before) > reapEvery+stallSlack {
			continue // the process stood still, and the checks had no chance to recover
		}
		for _, id := range a.reapable(time.Now()) {
			a.reapService(ctx, id)
		}
	}
}

// reapService withdraws a service that was found to be due.
func (a *Agent) reapService(ctx context.Context, id string) {
	due := false
	err := a.change(ctx, func(d *draft) error {
		// The check may have recovered while the change was waiting its turn.
		due = slices.Contains(a.reapable(time.Now()), id)
		if due {
			d.dropService(id)
		}
		return nil
	})
	switch {
	case err == nil && due:
		a.log.Warn("service deregistered: its check has been critical too long", "service", id)
	case err != nil && ctx.Err() == nil:
		a.log.Error("service should be deregistered, but cannot be", "service", id, "error", err)
	}
}

func (a *Agent) reapable(now time.Time) []string {
	s := &a.state
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []string
	for _, c := range s.checks {
		since := c.run.criticalSince
		after := c.def.DeregisterAfter
		if after > 0 && !since.IsZero() && now.Sub(since) >= after && c.owner.origin != fromConfig {
			due = append(due, c.def.ServiceID)
		}
	}
	slices.Sort(due)
	return slices.Compact(due)
}
