package chaosdoor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"herald/registry"
)

// syncedTimeout bounds how long Synced waits for the other process.
const syncedTimeout = 2 * time.Second

// Watch implements registry.Store.
func (c *Client) Watch(ctx context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	req := &request{Watch: &r, Caller: registry.CallerFrom(ctx)}
	_ = l.SetDeadline(time.Now().Add(dialTimeout + syncedTimeout))
	var resp response
	if err = l.enc.Encode(req); err == nil {
		err = l.dec.Decode(&resp)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("%w: watch: %w", registry.ErrUnavailable, err)
	}
	if err := resp.Err.err(); err != nil {
		l.Close()
		return nil, err
	}
	_ = l.SetDeadline(time.Time{})
	w := &watcher{
		link: l, startedAt: resp.Watch, synced: resp.Synced,
		ready: r.Ready, nexts: make(chan *response, 1), synceds: make(chan int64, 1), ended: make(chan struct{}),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		l.Close()
		return nil, errClosed
	}
	c.watchers[w] = struct{}{}
	w.detach = context.AfterFunc(ctx, func() { w.end(ctx.Err()) })
	c.watching.Go(func() {
		w.read()
		c.mu.Lock()
		delete(c.watchers, w)
		c.mu.Unlock()
	})
	return w, nil
}

// watcher is a watcher in another process.
type watcher struct {
	link      *link
	startedAt int64
	detach    func() bool // from the context that it was made with
	ready     func()      // WatchRequest.Ready; may be nil

	nexts   chan *response // answers to Next; one is asked for at a time
	synceds chan int64     // answers to Synced
	ended   chan struct{}  // closed once err is set

	asking sync.Mutex // makes Synced's question and answer one
	writes sync.Mutex // the link's writing side
	asked  bool       // a Next is under way there; only Next looks

	mu     sync.Mutex
	synced int64
	err    error
}

// read hands out what comes until the connection ends.
func (w *watcher) read() {
	defer w.detach()
	for {
		resp := new(response)
		if err := w.link.dec.Decode(resp); err != nil {
			w.end(fmt.Errorf("%w: connection to the server lost: %w", registry.ErrStopped, err))
			return
		}
		switch resp.To {
		case toNext:
			w.nexts <- resp
			w.signal()
		case toSynced:
			select {
			case w.synceds <- resp.Synced:
			default: // who asked has given up
			}
		}
	}
}

// end is why the watcher ends; only the first counts.
func (w *watcher) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		close(w.ended)
		w.link.Close()
		w.signal()
	}
}

func (w *watcher) signal() {
	if w.ready != nil {
		w.ready()
	}
}

func (w *watcher) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *watcher) ask(r *request) error {
	w.writes.Lock()
	defer w.writes.Unlock()
	return w.link.enc.Encode(r)
}

// StartedAt implements registry.Watcher.
func (w *watcher) StartedAt() int64 { return w.startedAt }

// Next implements registry.Watcher. A question whose asker left stays asked, and the
// next asker gets its answer.
func (w *watcher) Next(ctx context.Context) ([]registry.Commit, error) {
	if err := w.failure(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := w.askNext(); err != nil {
		return nil, err
	}
	select {
	case resp := <-w.nexts:
		return w.next(resp)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.ended:
		return nil, w.failure()
	}
}

// askNext asks for what comes next, unless that was asked for already.
func (w *watcher) askNext() error {
	if w.asked {
		return nil
	}
	if err := w.ask(&request{Next: true}); err != nil {
		w.end(fmt.Errorf("%w: connection to the server lost: %w", registry.ErrStopped, err))
		return w.failure()
	}
	w.asked = true
	return nil
}

// next is what an answer says.
func (w *watcher) next(resp *response) ([]registry.Commit, error) {
	w.asked = false
	if err := resp.Err.err(); err != nil {
		w.end(err)
		return nil, w.failure()
	}
	return resp.Commits, nil
}

// Poll implements registry.Watcher.
func (w *watcher) Poll() ([]registry.Commit, error) {
	if err := w.failure(); err != nil {
		return nil, err
	}
	if err := w.askNext(); err != nil {
		return nil, err
	}
	select {
	case resp := <-w.nexts:
		return w.next(resp)
	default:
		return nil, w.failure()
	}
}

// Synced implements registry.Watcher. It asks the other process, and makes do with what it
// last said if that does not answer.
func (w *watcher) Synced() int64 {
	w.asking.Lock()
	defer w.asking.Unlock()
	select {
	case <-w.synceds: // of an asker that had given up
	default:
	}
	if w.failure() == nil && w.ask(&request{Synced: true}) == nil {
		timeout := time.NewTimer(syncedTimeout)
		defer timeout.Stop()
		select {
		case now := <-w.synceds:
			w.mu.Lock()
			w.synced = max(w.synced, now)
			w.mu.Unlock()
		case <-timeout.C:
		case <-w.ended:
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.synced
}

// Close implements registry.Watcher.
func (w *watcher) Close() { w.end(registry.ErrWatchClosed) }
