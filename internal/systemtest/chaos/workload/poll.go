package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"herald/httpserver/api"
	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

const (
	// pollWait is how long a blocking query waits for a change.
	pollWait = 5 * time.Second
	// pollsPerThing is how often a thing is asked for before another is.
	pollsPerThing = 15
	// settling is how much time the answer to a blocking query has to come once writing
	// has ended and the server is known to have everything.
	settling = 2 * time.Second
	// pollClients is how many clients follow one thing after the other.
	pollClients = 5
	// idlePrefix is where nobody writes.
	idlePrefix = "idle/"
	// idleService is one that nobody registers.
	idleService = "idle"
)

// polls reports whether there is anything for blocking queries to follow.
func (c *Config) polls() bool { return c.runs(Watches) && c.runs(KV) }

// followed is a thing that blocking queries ask for.
type followed struct {
	of  history.Watched
	key string
	// moves says that it may change by itself when all writing has ended.
	moves bool
}

// anything picks what to follow.
func (c *client) anything() followed {
	group := c.registers.look(c.rng)
	switch n := c.rng.IntN(100); {
	case n < 30 && c.cfg.runs(Services):
		return followed{of: history.ServiceHealth, key: instanceOf(c.rng.IntN(serviceCount), 0).service}
	case n < 60:
		return followed{of: history.KeyPrefix, key: group}
	case n < 65:
		return followed{of: history.KeyPrefix, key: idlePrefix}
	case n < 70 && c.cfg.runs(Services):
		return followed{of: history.ServiceHealth, key: idleService}
	case n < 80 && c.sessions():
		// Whoever waits for a lock follows its key.
		return followed{key: fmt.Sprintf("%s%d", sessionLockPrefix, c.rng.IntN(lockCount)), moves: true}
	}
	return followed{key: keysOf(group)[c.rng.IntN(groupSize)]}
}

// pollClient follows one thing after the other by blocking queries. It ends when all servers
// have everything, with what the last thing came to.
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
	for waits.Err() == nil {
		c.pollThing(ctx, waits, c.anything())
	}
}

// pollThing follows a thing for a while. A client whose query fails goes on with another server,
// where it was.
func (c *client) pollThing(ctx, waits context.Context, f followed) {
	s := c.nearWith(overHTTP)
	var index uint64
	for range pollsPerThing {
		o := c.poll(waits, s, f, index, func(o *history.Polled) {
			o.Cut = waits.Err() != nil && ctx.Err() == nil && o.Outcome != history.OK
		})
		switch {
		case waits.Err() != nil:
			if !f.moves {
				c.poll(ctx, s, f, 0, func(o *history.Polled) { o.Closing = true })
			}
			return
		case o.Outcome != history.OK:
			sleep(waits, 100*time.Millisecond)
			s = c.anyone()
		case o.Got == index && c.chance(50):
			return // it may be one that nobody works on any more
		default:
			index = o.Got
			if c.chance(astray) {
				s = c.anyone()
			}
		}
		if !overHTTP(s) {
			s = c.nearWith(overHTTP)
		}
	}
}

// poll makes one query, which waits for an index above the one given unless that is 0.
func (c *client) poll(ctx context.Context, s *server, f followed, index uint64, note func(*history.Polled)) history.Polled {
	o := history.Polled{Of: f.of, Key: f.key, Index: index}
	patience := c.cfg.Patience
	if index > 0 {
		o.Wait = pollWait
		patience += pollWait + pollWait/4
	}
	path := pathOf(f)
	if index > 0 {
		path += fmt.Sprintf("&index=%d&wait=%v", index, pollWait)
	}
	if c.chance(30) {
		path += "&consistent"
	}
	o.Span = c.ask(ctx, s, "http", patience, func(ctx context.Context) error {
		a, err := s.send(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		o.Got = a.index()
		return tell(&o, a)
	})
	note(&o)
	c.rec.Append(o)
	return o
}

// pathOf is where a thing is asked for, with a query to add to.
func pathOf(f followed) string {
	switch f.of {
	case history.ServiceHealth:
		return "/v1/health/service/" + f.key + "?x"
	case history.KeyPrefix:
		return "/v1/kv/" + f.key + "?recurse"
	}
	return "/v1/kv/" + f.key + "?x"
}

// tell takes down what an answer has.
func tell(o *history.Polled, a *answer) error {
	if o.Of == history.ServiceHealth {
		var found []api.ServiceEntry
		if err := json.Unmarshal(a.body, &found); err != nil {
			return fmt.Errorf("health of %s: answer %.200q: %w", o.Key, a.body, err)
		}
		for _, e := range found {
			o.Instances = append(o.Instances, history.Seen{ID: e.Service.ID, Sick: slices.ContainsFunc(e.Checks, func(c api.HealthCheck) bool {
				return c.Status != string(registry.Passing)
			})})
		}
		return nil
	}
	if a.status == http.StatusNotFound {
		return nil
	}
	var found []api.KVPair
	if err := json.Unmarshal(a.body, &found); err != nil {
		return fmt.Errorf("GET of %s: answer %.200q: %w", o.Key, a.body, err)
	}
	for i := range found {
		o.Cells = append(o.Cells, history.Cell{Key: found[i].Key, Value: string(found[i].Value), Rev: int64(found[i].ModifyIndex)})
	}
	return nil
}
