package chaosdoor

import (
	"context"
	"sync"

	"herald/registry"
)

// serveWatch answers one watcher's questions. A Next may take for ever, and whoever asks
// Synced meanwhile is answered at once. The store's watcher is asked only as often as
// the client's is, so that a slow reader there is a slow one here.
func (d *Door) serveWatch(ctx context.Context, l *link, req *request) {
	ctx, cancel := context.WithCancel(registry.WithCaller(ctx, req.Caller))
	var next sync.WaitGroup
	defer func() {
		cancel()
		l.Close()
		next.Wait()
	}()
	w, err := d.host.Store.Watch(ctx, *req.Watch)
	if err != nil {
		_ = l.enc.Encode(&response{Err: encodeError(err)})
		return
	}
	defer w.Close()
	if err := l.enc.Encode(&response{Watch: w.StartedAt(), Synced: w.Synced()}); err != nil {
		return
	}
	var sending sync.Mutex
	send := func(r *response) {
		sending.Lock()
		defer sending.Unlock()
		if err := l.enc.Encode(r); err != nil {
			l.Close()
		}
	}
	for {
		var ask request
		if err := l.dec.Decode(&ask); err != nil {
			return
		}
		switch {
		case ask.Next:
			next.Wait() // a client asks again only once it was answered
			next.Go(func() {
				commits, err := w.Next(ctx)
				send(&response{To: toNext, Commits: commits, Err: encodeError(err)})
			})
		case ask.Synced:
			send(&response{To: toSynced, Synced: w.Synced()})
		}
	}
}
