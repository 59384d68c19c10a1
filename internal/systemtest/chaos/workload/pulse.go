package workload

import (
	"context"
	"time"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

const (
	// pulseEvery is how often it is tried whether writes are possible, through each server.
	pulseEvery = 100 * time.Millisecond
	// pulsePatience is how long a try may take.
	pulsePatience = time.Second
)

// beginPulses starts, for each server, a client that finds out whether writes are possible
// through it. The other clients cannot tell: where one server hangs, soon all of them hang on
// it, and that nothing succeeds then says nothing of the rest.
func (r *Running) beginPulses() {
	for _, s := range r.servers {
		r.write(1, func(ctx context.Context, c *client) {
			for sleep(ctx, pulseEvery) {
				o := history.Pulsed{}
				o.Span = c.ask(ctx, s, "store", pulsePatience, func(ctx context.Context) error {
					res, err := registry.Put(ctx, s.Store, registry.PutRequest{
						Space: registry.SpaceKV, Key: "pulse/" + s.Name, Value: []byte(c.value()),
					})
					o.Rev = res.Revision
					return err
				})
				c.rec.Append(o)
			}
		})
	}
}
