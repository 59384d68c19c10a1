package workload

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"herald/internal/systemtest/chaos/history"
)

const (
	// pollWait is how long a blocking query waits for a change.
	pollWait = 5 * time.Second
	// pollsPerKey is how often a key is asked for before another is.
	pollsPerKey = 15
	// settling is how much time the answer to a blocking query has to come once writing
	// has ended and the server is known to have everything.
	settling = 2 * time.Second
)

// pollClient follows registers by blocking queries. It ends when all servers have
// everything, with what its last key came to.
func pollClient(ctx context.Context, c *client) {
	// waits end when every change has had its time to be told.
	waits, endWaits := context.WithCancel(ctx)
	defer endWaits()
	stop := make(chan struct{})
	defer close(stop)
	c.followers.Go(func() {
		select {
		case <-c.caughtUp:
			sleep(ctx, settling)
		case <-stop:
		}
		endWaits()
	})
	for ctx.Err() == nil {
		s := c.nearWith(overHTTP)
		if s == nil {
			return
		}
		key := keysOf(c.registers.look(c.rng))[c.rng.IntN(groupSize)]
		var index uint64
		for range pollsPerKey {
			o := history.Polled{Key: key, Index: index}
			o.Span = c.ask(waits, s, "http", pollWait+pollWait/4+c.cfg.Patience, func(ctx context.Context) error { return poll(ctx, s, &o) })
			o.Cut = waits.Err() != nil && ctx.Err() == nil && o.Outcome != history.OK
			c.rec.Append(o)
			if waits.Err() != nil {
				c.closePoll(ctx, s, key)
				return
			}
			if o.Outcome != history.OK {
				sleep(waits, 100*time.Millisecond)
				break
			}
			index = o.Got
		}
	}
}

// closePoll asks once more what a key has come to, without waiting.
func (c *client) closePoll(ctx context.Context, s *server, key string) {
	o := history.Polled{Key: key, Closing: true}
	o.Span = c.ask(ctx, s, "http", c.cfg.Patience, func(ctx context.Context) error { return poll(ctx, s, &o) })
	c.rec.Append(o)
}

func poll(ctx context.Context, s *server, o *history.Polled) error {
	path := "/v1/kv/" + o.Key
	if o.Index > 0 {
		path = fmt.Sprintf("%s?index=%d&wait=%v", path, o.Index, pollWait)
	}
	a, err := s.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	o.Got = a.index()
	o.Cell, err = cellOf(o.Key, a)
	return err
}
