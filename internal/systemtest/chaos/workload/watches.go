package workload

import (
	"context"
	"slices"
	"time"

	"herald/registry"
)

// watching is one way to watch.
type watching struct {
	space registry.Space
	keys  registry.KeyRange
	// slow is how long the client dawdles after it was given something, at most.
	slow time.Duration
	// restless clients give up their watcher now and then, and begin another on another
	// server, some way back in history.
	restless bool
}

// beginWatches starts the clients that watch. Two watch everything: with theirs, what
// commits there were is known without gaps.
func (r *Running) beginWatches() {
	all := []watching{
		{space: registry.SpaceKV, keys: registry.All()},
		{space: registry.SpaceKV, keys: registry.All(), restless: true},
		{space: registry.SpaceKV, keys: registry.Prefix(registerPrefix), slow: 3 * time.Second},
		{space: registry.SpaceKV, keys: registry.Prefix(ackPrefix), restless: true, slow: time.Second},
	}
	if r.cfg.runs(Services) {
		all = append(all, watching{space: registry.SpaceCatalog, keys: registry.All(), restless: true})
	}
	for _, w := range all {
		r.follow(func(ctx context.Context, c *client) { (&watcher{client: c, watching: w}).run(ctx) })
	}
	if r.cfg.polls() && slices.ContainsFunc(r.servers, overHTTP) {
		for range pollClients {
			r.follow(pollClient)
		}
	}
	if r.cfg.Compact > 0 {
		r.write(1, compactClient)
	}
}

// historyKept is how many revisions a compaction leaves.
const historyKept = 150

// compactClient gives up history. What becomes of that the watching clients see.
func compactClient(ctx context.Context, c *client) {
	for c.rest(ctx, c.cfg.Compact) {
		for _, space := range []registry.Space{registry.SpaceKV, registry.SpaceCatalog} {
			s := c.anyone()
			c.ask(ctx, s, "store", c.cfg.Patience, func(ctx context.Context) error {
				res, err := s.Store.Range(ctx, registry.RangeRequest{
					Space: space, KeyRange: registry.All(), CountOnly: true, Consistency: registry.Stale,
				})
				if err != nil || res.Revision <= historyKept {
					return err
				}
				return s.Store.Compact(ctx, space, res.Revision-historyKept)
			})
		}
	}
}
