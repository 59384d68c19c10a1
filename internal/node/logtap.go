package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
)

// logLines is how many lines may wait for one who follows the log.
const logLines = 512

// logTap passes on to a handler what is logged, and shows it to those who follow. It
// implements slog.Handler and plugin.Logs.
type logTap struct {
	next slog.Handler
	// steps are what the loggers made from the first one add to every record.
	steps []func(slog.Handler) slog.Handler
	taps  *taps
}

// taps are those who follow. Changes copy the list: whoever logs only loads it.
type taps struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*tap]
}

// tap is one who follows. write is called with the lock of its own handler held.
type tap struct {
	handler slog.Handler
	lines   chan []byte
}

func newLogTap(next slog.Handler) *logTap {
	t := &logTap{next: next, taps: &taps{}}
	t.taps.list.Store(&[]*tap{})
	return t
}

// Follow implements plugin.Logs.
func (t *logTap) Follow(level slog.Level, json bool) (<-chan []byte, func()) {
	f := &tap{lines: make(chan []byte, logLines)}
	opts := &slog.HandlerOptions{Level: level}
	if json {
		f.handler = slog.NewJSONHandler(f, opts)
	} else {
		f.handler = slog.NewTextHandler(f, opts)
	}
	t.taps.change(func(l []*tap) []*tap { return append(l, f) })
	return f.lines, func() {
		t.taps.change(func(l []*tap) []*tap { return slices.DeleteFunc(l, func(o *tap) bool { return o == f }) })
	}
}

func (t *taps) change(edit func([]*tap) []*tap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := edit(slices.Clone(*t.list.Load()))
	t.list.Store(&list)
}

// Write takes a line, which is the handler's own, or drops it: logging never waits.
func (f *tap) Write(line []byte) (int, error) {
	select {
	case f.lines <- slices.Clone(line):
	default:
	}
	return len(line), nil
}

// Enabled implements slog.Handler.
func (t *logTap) Enabled(ctx context.Context, l slog.Level) bool {
	return t.next.Enabled(ctx, l) ||
		slices.ContainsFunc(*t.taps.list.Load(), func(f *tap) bool { return f.handler.Enabled(ctx, l) })
}

// Handle implements slog.Handler.
func (t *logTap) Handle(ctx context.Context, r slog.Record) error {
	var errs []error
	if t.next.Enabled(ctx, r.Level) {
		errs = append(errs, t.next.Handle(ctx, r))
	}
	for _, f := range *t.taps.list.Load() {
		if !f.handler.Enabled(ctx, r.Level) {
			continue
		}
		h := f.handler
		for _, step := range t.steps {
			h = step(h)
		}
		errs = append(errs, h.Handle(ctx, r.Clone()))
	}
	return errors.Join(errs...)
}

// WithAttrs implements slog.Handler.
func (t *logTap) WithAttrs(attrs []slog.Attr) slog.Handler {
	return t.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (t *logTap) WithGroup(name string) slog.Handler {
	return t.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (t *logTap) with(step func(slog.Handler) slog.Handler) slog.Handler {
	return &logTap{next: step(t.next), steps: append(slices.Clip(t.steps), step), taps: t.taps}
}
