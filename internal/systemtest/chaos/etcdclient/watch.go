package etcdclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"herald/registry"
)

// createTimeout is how long a server may take to take up a watch.
const createTimeout = 5 * time.Second

// Watch implements registry.Store. The client itself takes the watch up again when its connection
// breaks.
func (s *Store) Watch(ctx context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	if r.Space != registry.SpaceKV {
		return nil, unknownHere("space %v", r.Space)
	}
	if r.Ready != nil {
		return nil, unknownHere("watches that are polled")
	}
	key, opts := inRange(r.KeyRange)
	opts = append(opts, clientv3.WithRev(r.StartRevision), clientv3.WithPrevKV(), clientv3.WithCreatedNotify(), clientv3.WithProgressNotify())
	if r.SkipPuts {
		opts = append(opts, clientv3.WithFilterPut())
	}
	if r.SkipDeletes {
		opts = append(opts, clientv3.WithFilterDelete())
	}
	watching, cancel := context.WithCancel(ctx)
	w := &watcher{store: s, ctx: watching, cancel: cancel}
	w.responses = s.client.Watch(clientv3.WithRequireLeader(watching), key, opts...)
	var created clientv3.WatchResponse
	ok := false
	select {
	case created, ok = <-w.responses:
	case <-time.After(createTimeout):
	}
	switch {
	case !ok:
		cancel()
		return nil, errors.Join(registry.ErrUnavailable, ctx.Err())
	case created.Err() != nil:
		cancel()
		return nil, w.reason(&created)
	}
	w.started = created.Header.GetRevision()
	w.synced = max(r.StartRevision-1, 0)
	if r.StartRevision == 0 {
		w.synced = w.started
	}
	return w, nil
}

// watcher is a watch of the client's. One goroutine calls Next.
type watcher struct {
	store     *Store
	ctx       context.Context
	cancel    context.CancelFunc
	responses clientv3.WatchChan
	started   int64
	err       error // of an earlier Next

	mu     sync.Mutex
	synced int64
	// returned is up to where the last Next returned commits, which counts with the next.
	returned int64
}

// StartedAt implements registry.Watcher.
func (w *watcher) StartedAt() int64 { return w.started }

// Next implements registry.Watcher. It asks for the progress of the stream, so that a watch of what
// is never written to is known to be up to date.
func (w *watcher) Next(ctx context.Context) ([]registry.Commit, error) {
	w.mu.Lock()
	w.synced = max(w.synced, w.returned)
	w.mu.Unlock()
	if w.err == nil && ctx.Err() == nil {
		// It fails while there is no connection; the next asks again.
		_ = w.store.client.RequestProgress(clientv3.WithRequireLeader(ctx))
	}
	for w.err == nil {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case r, ok := <-w.responses:
			switch {
			case !ok:
				w.err = fmt.Errorf("%w: the watch has ended: %w", registry.ErrWatchClosed, context.Cause(w.ctx))
			case r.Err() != nil:
				w.err = w.reason(&r)
			case r.IsProgressNotify():
				w.mu.Lock()
				w.synced = max(w.synced, r.Header.GetRevision())
				w.mu.Unlock()
			default:
				if commits := commitsOf(r.Events); len(commits) > 0 {
					w.mu.Lock()
					w.returned = commits[len(commits)-1].Revision
					w.mu.Unlock()
					return commits, nil
				}
			}
		}
	}
	return nil, w.err
}

// reason is why a watch ended.
func (w *watcher) reason(r *clientv3.WatchResponse) error {
	if r.CompactRevision != 0 {
		return &registry.CompactedError{Space: registry.SpaceKV, Lowest: r.CompactRevision}
	}
	return said(r.Err())
}

// commitsOf puts the events of one revision together, by key. Seq counts those that came: what was
// written outside the watch's range has no place here.
func commitsOf(events []*clientv3.Event) []registry.Commit {
	var commits []registry.Commit
	for _, e := range events {
		ev := registry.Event{KV: keyValue(e.Kv)}
		if e.Type == clientv3.EventTypeDelete {
			ev.Type = registry.EventDelete
		}
		if e.PrevKv != nil {
			prev := keyValue(e.PrevKv)
			ev.Prev = &prev
		}
		if n := len(commits); n == 0 || commits[n-1].Revision != ev.KV.ModRevision {
			commits = append(commits, registry.Commit{Revision: ev.KV.ModRevision})
		}
		last := &commits[len(commits)-1]
		ev.Seq = uint32(len(last.Events))
		last.Events = append(last.Events, ev)
	}
	for i := range commits {
		slices.SortFunc(commits[i].Events, func(a, b registry.Event) int { return strings.Compare(a.KV.Key, b.KV.Key) })
	}
	return commits
}

// Poll implements registry.Watcher. Nobody gets a watcher that is to be polled: see Watch.
func (w *watcher) Poll() ([]registry.Commit, error) {
	return nil, unknownHere("watches that are polled")
}

// Synced implements registry.Watcher.
func (w *watcher) Synced() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.synced
}

// Close implements registry.Watcher.
func (w *watcher) Close() { w.cancel() }
