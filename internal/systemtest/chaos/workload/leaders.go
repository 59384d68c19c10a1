package workload

import (
	"context"
	"time"

	"herald/internal/systemtest/chaos/history"
)

// leaderEvery is how often a server is asked whether it leads.
const leaderEvery = 100 * time.Millisecond

// followLeaders starts a client for each server that takes down when it begins to lead. A
// lease's time starts anew with a leader, so it matters to what can be expected.
func (r *Running) followLeaders() {
	for _, s := range r.servers {
		if s.Status == nil {
			continue
		}
		r.write(1, func(ctx context.Context, c *client) {
			var term uint64
			for sleep(ctx, leaderEvery) {
				ctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
				status, err := s.Status(ctx)
				cancel()
				if err == nil && status.IsLeader && status.Term > term {
					term = status.Term
					c.rec.Append(history.Led{At: c.rec.Now(), Node: s.Name, Term: term})
				}
			}
		})
	}
}
