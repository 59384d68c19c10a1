package workload

import (
	"context"
	"fmt"
	"net/http"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// ackPrefix is where keys are that are written once.
const ackPrefix = "ack/"

// ackClient writes one key after the other, each once.
func ackClient(ctx context.Context, c *client) {
	for n := 1; c.rest(ctx, 2*c.cfg.Pause); n++ {
		o := &history.Added{Key: fmt.Sprintf("%s%d/%08d", ackPrefix, c.id, n)}
		s, via := c.door()
		do := addOverStore
		if via == "http" {
			do = addOverHTTP
		}
		o.Span = c.ask(ctx, s, via, c.cfg.Patience, func(ctx context.Context) error { return do(ctx, s, o) })
		c.rec.Append(*o)
	}
}

func addOverStore(ctx context.Context, s *server, o *history.Added) error {
	res, err := registry.Put(ctx, s.Store, registry.PutRequest{Space: registry.SpaceKV, Key: o.Key, Value: []byte(o.Key)})
	if err != nil {
		return err
	}
	o.Rev = res.Revision
	return nil
}

func addOverHTTP(ctx context.Context, s *server, o *history.Added) error {
	a, err := s.send(ctx, http.MethodPut, "/v1/kv/"+o.Key, o.Key)
	if err != nil {
		return err
	}
	took, err := a.yes()
	if err == nil && !took {
		err = fmt.Errorf("PUT of %s without a condition was answered false", o.Key)
	}
	return err
}
