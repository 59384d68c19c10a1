package workload

import (
	"context"
	"errors"
	"time"

	"herald/internal/systemtest/chaos/history"
)

// hashEvery is how often the servers' states are taken down. That two servers are found at
// the same index is luck while there are writes; when they have ended it is not.
const hashEvery = 5 * time.Second

// beginHashes starts the client that compares states.
func (r *Running) beginHashes() error {
	for _, s := range r.servers {
		if s.StateHash == nil {
			return errors.New("server " + s.Name + " does not say what its state is (Endpoint.StateHash)")
		}
	}
	r.write(1, func(ctx context.Context, c *client) {
		for sleep(ctx, hashEvery) {
			for _, s := range c.servers {
				c.hash(ctx, s, false)
			}
		}
	})
	return nil
}

// hash takes down a server's state. It returns the index that the state is at, 0 if it was not
// to be had.
func (c *client) hash(ctx context.Context, s *server, closing bool) uint64 {
	h := history.Hashed{Node: s.Name, Closing: closing}
	span := c.ask(ctx, s, "store", c.cfg.Patience, func(ctx context.Context) (err error) {
		h.Applied, h.Hash, err = s.StateHash(ctx)
		return err
	})
	h.At = span.Return
	if span.Outcome != history.OK {
		h.Err = span.Err
		if !closing {
			return 0
		}
	}
	c.rec.Append(h)
	return h.Applied
}

// closingHashes takes down every server's state until all are at one index, or ctx ends.
func (c *client) closingHashes(ctx context.Context) error {
	for {
		at := map[uint64]bool{}
		for _, s := range c.servers {
			at[c.hash(ctx, s, true)] = true
		}
		if len(at) == 1 && !at[0] {
			return nil
		}
		if !sleep(ctx, 300*time.Millisecond) {
			return errors.New("the servers' states were never found at one index")
		}
	}
}
