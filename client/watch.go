package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
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
		for s, err := range follow(ctx, k.c, o, read) {
			if !yield(Snapshot{KVs: s.what, Meta: s.Meta}, err) {
				return
			}
		}
	}
}

// Document is an answer of the API, as JSON.
type Document struct {
	// JSON is nil for what does not exist.
	JSON json.RawMessage
	Meta
}

// Follow follows what a path of the API answers, such as "/v1/health/service/web" with
// passing=1, as KV.Watch does a prefix. The path is not escaped. The index may rise though the
// document is the same.
func (c *Client) Follow(ctx context.Context, path string, query url.Values, o ReadOptions) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		read := func(ctx context.Context, o ReadOptions) (*reply, Meta, error) {
			return c.document(ctx, o.call(path, maps.Clone(query)))
		}
		for s, err := range follow(ctx, c, o, read) {
			d := Document{Meta: s.Meta}
			if err == nil && s.what != nil {
				d.JSON = bytes.TrimSpace(s.what.body)
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// document reads what may not exist: the reply is then nil.
func (c *Client) document(ctx context.Context, r call) (*reply, Meta, error) {
	rep, err := c.do(ctx, r, http.StatusNotFound)
	if err != nil {
		return nil, Meta{}, err
	}
	meta := metaOf(rep.header)
	if rep.status != http.StatusNotFound {
		return rep, meta, nil
	}
	if meta.Index == 0 { // not a key's 404 but a path's: no server of this API
		return nil, meta, newError(r, rep)
	}
	return nil, meta, nil
}

// seen is what a read came to.
type seen[T any] struct {
	what T
	Meta
}

// follow reads again and again, each time blocking for a change.
func follow[T any](ctx context.Context, c *Client, o ReadOptions, read func(context.Context, ReadOptions) (T, Meta, error)) iter.Seq2[seen[T], error] {
	return func(yield func(seen[T], error) bool) {
		pause := pauses{c: c}
		for ctx.Err() == nil {
			what, meta, err := read(ctx, o)
			switch {
			case ctx.Err() != nil:
				return
			case pause.after(ctx, err):
				continue
			case ctx.Err() != nil:
				return
			case err != nil:
				yield(seen[T]{}, err)
				return
			case meta.Index == o.Index:
				continue // the wait was over
			}
			if !yield(seen[T]{what, meta}, nil) {
				return
			}
			// An index below the one before means that the servers were restored: what
			// follows is counted from there.
			o.Index = meta.Index
		}
	}
}

// pauses waits before a call is made again that failed for a reason that passes.
type pauses struct {
	c    *Client
	last time.Duration // 0 if the call before succeeded
}

// after is told what became of a call. If it may go better later it waits, and reports
// that; Config.OnRetry hears of it.
func (p *pauses) after(ctx context.Context, err error) (again bool) {
	if err == nil {
		if p.last > 0 {
			p.last = 0
			p.c.tellRetry(nil)
		}
		return false
	}
	if ctx.Err() != nil || !passes(err) {
		return false
	}
	p.c.tellRetry(err)
	p.last = min(max(2*p.last, minPause), maxPause)
	sleep(ctx, p.last)
	return ctx.Err() == nil
}

func (c *Client) tellRetry(err error) {
	if c.onRetry != nil {
		c.onRetry(err)
	}
}

// passes reports whether an error is of a kind that goes away. What servers answered well, and
// was found wanting here, does not.
func passes(err error) bool {
	if errors.Is(err, registry.ErrInvalid) || errors.Is(err, ErrSessionEnded) {
		return false
	}
	var answered *Error
	return !errors.As(err, &answered) || answered.passes() // nobody answered, or not for long
}

// sleep waits for d and up to half of it more, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	sleepFor(ctx, d+time.Duration(rand.Int64N(int64(d)/2)))
}

func sleepFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
