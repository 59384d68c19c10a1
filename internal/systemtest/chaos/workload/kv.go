package workload

import (
	"context"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// kvClient reads, writes and compares registers.
func kvClient(ctx context.Context, c *client) {
	// What the client knows of the registers of each group, for comparisons.
	known := map[string]map[string]int64{}
	for c.rest(ctx, c.cfg.Pause) {
		o := &history.KV{Group: c.registers.next(c.rng)}
		if known[o.Group] == nil {
			if len(known) > 2*activeGroups {
				clear(known)
			}
			known[o.Group] = map[string]int64{}
		}
		s, via := c.door()
		choose := c.chooseStep
		switch {
		case via == "http" && c.chance(40):
			via, choose = "txn", c.chooseTxnStep
		case via == "http":
			choose = c.chooseHTTPStep
		}
		do := choose(o, known[o.Group])
		o.Via = via
		o.Span = c.ask(ctx, s, via, c.cfg.Patience, func(ctx context.Context) error { return do(ctx, s, o) })
		for _, cell := range o.Got {
			known[o.Group][cell.Key] = cell.Rev
		}
		c.rec.Append(*o)
	}
}

// door picks a server and one of its doors.
func (c *client) door() (s *server, via string) {
	switch n := c.rng.IntN(100); {
	case n < 35:
		if s := c.nearWith(overHTTP); s != nil {
			return s, "http"
		}
	case n < 70:
		if s := c.nearWith(overEtcd); s != nil {
			return s, "etcd"
		}
	}
	return c.near(), "store"
}

func overEtcd(s *server) bool { return s.Etcd != nil }

// over is a server's store as it is reached through a door that has its contract.
func (s *server) over(via string) registry.Store {
	if via == "etcd" {
		return s.Etcd
	}
	return s.Store
}

// step makes what o asks for happen, and completes o.
type step func(ctx context.Context, s *server, o *history.KV) error

// chooseStep decides on a step over the Go contract.
func (c *client) chooseStep(o *history.KV, known map[string]int64) step {
	keys := keysOf(o.Group)
	c.rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	put := func(key string) history.Write { return history.Write{Key: key, Value: c.value()} }
	switch n := c.rng.IntN(100); {
	case n < 25: // read one
		return readStep(keys[:1]...)
	case n < 40: // read all
		return readStep(keys[:]...)
	case n < 50:
		o.Mode = history.Stale
		return readStep(keys[:1+c.rng.IntN(groupSize)]...)
	case n < 65:
		o.Set = []history.Write{put(keys[0])}
	case n < 70:
		o.Set = []history.Write{{Key: keys[0], Delete: true}}
	case n < 85:
		o.If = []history.Cond{{Key: keys[0], Rev: known[keys[0]]}}
		o.Set = []history.Write{put(keys[0])}
	default: // one decides over two others
		o.If = []history.Cond{{Key: keys[0], Rev: known[keys[0]]}}
		o.Set = []history.Write{put(keys[1]), put(keys[2])}
		if c.chance(30) {
			o.Set[1] = history.Write{Key: keys[2], Delete: true}
		}
	}
	return txnStep
}

// chooseHTTPStep decides on a step over HTTP, which knows one key at a time.
func (c *client) chooseHTTPStep(o *history.KV, known map[string]int64) step {
	key := keysOf(o.Group)[c.rng.IntN(groupSize)]
	switch n := c.rng.IntN(100); {
	case n < 20:
		o.Mode = history.Default
	case n < 40:
		o.Mode = history.Consistent
	case n < 50:
		o.Mode = history.Stale
	case n < 70:
		o.Set = []history.Write{{Key: key, Value: c.value()}}
		return httpWriteStep
	case n < 75:
		o.Set = []history.Write{{Key: key, Delete: true}}
		return httpWriteStep
	default:
		o.If = []history.Cond{{Key: key, Rev: known[key]}}
		o.Set = []history.Write{{Key: key, Value: c.value()}}
		return httpWriteStep
	}
	return httpReadStep(key)
}
