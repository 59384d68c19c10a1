package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// restless is a store that is written to whenever a watch is polled, so that no watch of it ever
// has all there is.
type restless struct {
	*storetest.Memory
	now int64
}

func (s *restless) Status() registry.Status {
	st := s.Memory.Status()
	st.Revisions[registry.SpaceKV] = s.now
	return st
}

func (s *restless) Watch(_ context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	return &restlessWatcher{store: s, key: r.Start, started: s.now, polled: max(s.now, r.StartRevision-1)}, nil
}

// restlessWatcher has every other revision: each is of one key of two.
type restlessWatcher struct {
	store                   *restless
	key                     string
	started, polled, synced int64
}

func (w *restlessWatcher) Poll() ([]registry.Commit, error) {
	w.store.now += 3
	w.synced = w.polled
	var commits []registry.Commit
	for ; w.polled < w.store.now; w.polled++ {
		rev := w.polled + 1
		if key := string('a' + rune(rev%2)); key == w.key {
			kv := registry.KeyValue{Key: key, CreateRevision: rev, ModRevision: rev, Version: 1}
			commits = append(commits, registry.Commit{Revision: rev, Events: []registry.Event{{KV: kv}}})
		}
	}
	return commits, nil
}

func (w *restlessWatcher) StartedAt() int64 { return w.started }
func (w *restlessWatcher) Synced() int64    { return w.synced }
func (w *restlessWatcher) Close()           {}
func (w *restlessWatcher) Next(context.Context) ([]registry.Commit, error) {
	return nil, errors.New("is not asked for")
}

// answers is the client's end of a stream, which judges what it is sent.
type answers struct {
	grpc.ServerStream
	events   map[int64]int64 // by watch, the revision of the last
	progress []int64
	wrong    []string
	sent     func()
}

func (a *answers) SendMsg(m any) error {
	switch m := m.(type) {
	case *eventsAnswer:
		rev := m.header.Revision
		if n := len(a.progress); n > 0 && a.events[m.id] < a.progress[n-1] && rev <= a.progress[n-1] {
			a.wrong = append(a.wrong, fmt.Sprintf("watch %d is told %d after progress at %d", m.id, rev, a.progress[n-1]))
		}
		a.events[m.id] = rev
	case *pb.WatchResponse:
		if m.WatchId == noWatch {
			a.progress = append(a.progress, m.Header.Revision)
			for id, rev := range a.events {
				// Each key is written at every other revision.
				if rev < m.Header.Revision-1 || rev > m.Header.Revision {
					a.wrong = append(a.wrong, fmt.Sprintf("progress at %d, and watch %d was told %d", m.Header.Revision, id, rev))
				}
			}
		}
	}
	a.sent()
	return nil
}

// On a stream that never comes to rest, a request for progress is answered all the same, soon, and
// the answer overtakes nothing. So are those that come after it, also where they come without a pause.
func TestProgressOfAStreamThatNeverRests(t *testing.T) {
	for _, tt := range []struct {
		name  string
		asks  int // how many requests come at a time
		start int64
		want  int // how many answers there are, at least
	}{
		{"one", 1, 0, 1},
		{"many", 100, 0, 2},
		{"none, where a watch starts in the future", 1, 1 << 40, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &restless{Memory: storetest.NewMemory(t), now: 1}
				c := newCore(DefaultConfig(), &plugin.Host{Store: store, Cluster: store, Log: slog.New(slog.DiscardHandler)})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				asked := make(chan *pb.WatchRequest, 1000)
				create := func(key string, start int64) {
					asked <- &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: watchFrom(key, start)}}
				}
				create("a", 0)
				create("b", 0)
				if tt.start > 0 {
					create("c", tt.start)
				}
				const enough = 10_000
				stream := &answers{events: map[int64]int64{}}
				n := 0
				stream.sent = func() {
					if n++; n == 1000 {
						for range tt.asks {
							asked <- &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}
						}
					}
					if n == enough {
						cancel()
					}
				}
				s := newWatchStream(&watchService{core: c}, stream)
				defer s.close()
				if err := s.run(ctx, asked); !errors.Is(err, context.Canceled) {
					t.Errorf("the stream ended after %d messages: %v", n, err)
				}
				if n := len(stream.progress); n < tt.want || n > tt.want*tt.asks || len(stream.wrong) > 0 {
					t.Errorf("progress %v, want %d answers at least; %v", stream.progress, tt.want, stream.wrong)
				}
				for id, rev := range stream.events {
					if rev < enough/2 {
						t.Errorf("watch %d was told no more than %d", id, rev)
					}
				}
			})
		})
	}
}
