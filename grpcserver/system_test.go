package grpcserver

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// unwatchable is a store of which the next so many watches fail.
type unwatchable struct {
	registry.Store
	fail atomic.Int32
}

func (s *unwatchable) Watch(ctx context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	if s.fail.Add(-1) >= 0 {
		return nil, registry.ErrUnavailable
	}
	return s.Store.Watch(ctx, r)
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMemory(t)
		store := &unwatchable{Store: m}
		c := newCore(DefaultConfig(), &plugin.Host{Store: store, Cluster: m, Log: slog.New(slog.DiscardHandler)})
		ctx, stop := context.WithCancel(context.Background())
		defer c.background.Wait()
		defer stop()
		const every = time.Minute
		var calls, failing atomic.Int32
		// did lets time pass and checks how often what is to be done was done in it.
		did := func(what string, pass time.Duration, want int32) {
			t.Helper()
			time.Sleep(pass)
			synctest.Wait()
			if got := calls.Swap(0); got != want {
				t.Errorf("%s: %d calls, want %d", what, got, want)
			}
		}
		write := func(s registry.Space, key string) {
			t.Helper()
			if _, err := registry.Put(t.Context(), m, registry.PutRequest{Space: s, Key: key}); err != nil {
				t.Fatal(err)
			}
		}
		store.fail.Store(2)
		c.background.Go(func() {
			c.follow(ctx, "a/", every, func(context.Context) error {
				calls.Add(1)
				if failing.Add(-1) >= 0 {
					return errors.New("not now")
				}
				return nil
			})
		})
		did("while there is no watch", 2*followPause-1, 0)
		did("at first", 1, 1)
		write(registry.SpaceSystem, "a/1")
		did("after a change", 0, 1)
		write(registry.SpaceSystem, "b/1")
		write(registry.SpaceKV, "a/1")
		did("after changes of something else", every/2, 0)
		did("when there was none for long", every/2, 1)
		failing.Store(3)
		write(registry.SpaceSystem, "a/1")
		did("that fails", 0, 1)
		did("until it does not", 5*followPause, 3)
		snapshot, err := m.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
		did("after a restore", 0, 1)
		stop()
		did("after its end", time.Hour, 0)
	})
}
