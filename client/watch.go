package client

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"time"

	"herald/registry"
)

// Snapshot is a range of keys as it stood at an index.
type Snapshot struct {
	KVs []registry.KeyValue
	Meta
}

// The bounds of the pause before a failed read is tried again.
const (
	minPause = 100 * time.Millisecond
	maxPause = 10 * time.Second
)

// Watch follows every key that begins with prefix: it yields what there is, and
// again whenever that has changed. Changes that come close together may be
// yielded as one. Failures that pass (no server, no leader) are waited out, and
// Config.OnRetry is told of them; any other is yielded and is the last. It ends without an error when ctx does.
func (k KV) Watch(ctx context.Context, prefix string, o ReadOptions) iter.Seq2[Snapshot, error] {
	return k.follow(ctx, o, func(ctx context.Context, o ReadOptions) ([]registry.KeyValue, Meta, error) {
		return k.List(ctx, prefix, o)
	})
}

// WatchKey follows one key as Watch does a prefix. While it does not exist,
// Snapshot.KVs is empty.
func (k KV) WatchKey(ctx context.Context, key string, o ReadOptions) iter.Seq2[Snapshot, error] {
	return k.follow(ctx, o, func(ctx context.Context, o ReadOptions) ([]registry.KeyValue, Meta, error) {
		return k.read(ctx, o.call(keyPath(key), nil))
	})
}

func (k KV) follow(ctx context.Context, o ReadOptions, read func(context.Context, ReadOptions) ([]registry.KeyValue, Meta, error)) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		pause, failed := minPause, false
		for ctx.Err() == nil {
			kvs, meta, err := read(ctx, o)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil && !passes(err):
				yield(Snapshot{}, err)
				return
			case err != nil:
				k.c.tellRetry(err)
				failed = true
				sleep(ctx, pause)
				pause = min(2*pause, maxPause)
				continue
			}
			if failed {
				pause, failed = minPause, false
				k.c.tellRetry(nil)
			}
			if meta.Index == o.Index {
				continue // the wait was over
			}
			if !yield(Snapshot{KVs: kvs, Meta: meta}, nil) {
				return
			}
			// An index below the one before means that the servers were restored: what
			// follows is counted from there.
			o.Index = meta.Index
		}
	}
}

func (c *Client) tellRetry(err error) {
	if c.onRetry != nil {
		c.onRetry(err)
	}
}

// passes reports whether an error is of a kind that goes away.
func passes(err error) bool {
	var answered *Error
	return !errors.As(err, &answered) || answered.passes() // nobody answered, or not for long
}

// sleep waits for d and up to half of it more, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d + time.Duration(rand.Int64N(int64(d)/2)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
