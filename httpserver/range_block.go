package httpserver

import (
	"context"
	"errors"

	"herald/registry"
)

// rangeBlock reads, and while the index is not above the one the client has, waits
// for changes of exactly the range that was asked and reads again. What it
// returns when the wait is over is what it read last, since nothing has changed.
func (s *surface) rangeBlock(q *request, o *readOptions, read func(context.Context) (registry.RangeResult, uint64, error), space registry.Space, keys registry.KeyRange) (registry.RangeResult, uint64, error) {
	res, idx, err := read(q.r.Context())
	if err != nil || o.index == 0 || idx > o.index {
		return res, idx, err
	}
	ctx, stop, err := s.blocking(q, o)
	if err != nil {
		return res, idx, err
	}
	defer stop()
	for {
		if changed, err := s.rangeChanged(ctx, q, space, keys, res.Revision+1+bugWakeLate); err != nil || !changed {
			return res, idx, err
		}
		res, idx, err = read(q.r.Context())
		if err != nil || idx > o.index {
			return res, idx, err
		}
	}
}

// rangeChanged waits until a key of the range has changed at revision from or later,
// or may have. It returns false when ctx, the wait of q, is over.
func (s *surface) rangeChanged(ctx context.Context, q *request, space registry.Space, keys registry.KeyRange, from int64) (bool, error) {
	err := s.rangeWait(ctx, space, keys, from)
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil && q.r.Context().Err() == nil:
		return false, nil
	case errors.Is(err, registry.ErrCompacted), errors.Is(err, registry.ErrWatchReset):
		return true, nil // what happened cannot be told from events; a read can
	}
	return false, err
}

// rangeWait returns nil once a key of the range has changed at revision from or later.
func (s *surface) rangeWait(ctx context.Context, space registry.Space, keys registry.KeyRange, from int64) error {
	w, err := s.store.Watch(ctx, registry.WatchRequest{Space: space, KeyRange: keys, StartRevision: from, Buffer: 1})
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = w.Next(ctx)
	return err
}
