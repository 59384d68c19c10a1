package grpcserver

import (
	"context"
	"errors"
	"time"

	"herald/registry"
)

// followPause is how long following waits after it failed.
const followPause = time.Second

// follow calls do, again whenever a key of registry.SpaceSystem under prefix has changed, and at
// least every so often, until ctx ends. What do reads as it is on this server contains the
// change. One that fails is called again.
func (c *core) follow(ctx context.Context, prefix string, every time.Duration, do func(context.Context) error) {
	for {
		err := c.followWatch(ctx, prefix, every, do)
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, registry.ErrWatchReset) {
			c.log.Debug("cannot keep up with the system's keys; trying again", "prefix", prefix, "error", err)
			select {
			case <-time.After(followPause):
			case <-ctx.Done():
				return
			}
		}
	}
}

// followWatch is follow as long as nothing fails.
func (c *core) followWatch(ctx context.Context, prefix string, every time.Duration, do func(context.Context) error) error {
	w, err := c.store.Watch(ctx, registry.WatchRequest{Space: registry.SpaceSystem, KeyRange: registry.Prefix(prefix)})
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		if err := do(ctx); err != nil {
			return err
		}
		if err := nextWithin(ctx, w, every); err != nil {
			return err
		}
	}
}

// nextWithin waits for a watcher, but not longer than that.
func nextWithin(ctx context.Context, w registry.Watcher, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	_, err := w.Next(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// unwrittenSince holds if no key of registry.SpaceSystem under prefix was written after a revision.
// Deletions do not count.
func unwrittenSince(prefix string, revision int64) registry.Compare {
	return registry.Compare{
		Space: registry.SpaceSystem, KeyRange: registry.Prefix(prefix),
		Target: registry.CompareMod, Result: registry.Less, Int: revision + 1,
	}
}

// asOperator is the context of a call that changes what the cluster says of itself.
func asOperator(ctx context.Context) context.Context {
	caller := registry.CallerFrom(ctx)
	caller.Reason = registry.ReasonOperator
	return registry.WithCaller(ctx, caller)
}
