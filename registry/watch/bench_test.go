package watch

import (
	"context"
	"fmt"
	"testing"

	"herald/registry"
)

// benchHub is a hub with watchers, and a history in which every revision writes
// key. It hands out in the benchmark's own goroutine, so that what is measured
// is the hand-out and not the scheduler.
func benchHub(b *testing.B, watchers int, keys func(i int) registry.KeyRange, key string) (*Hub, []registry.Watcher, *endless) {
	h := newHub(&endless{revision: 1, key: key}, Config{})
	b.Cleanup(h.Close)
	ws := make([]registry.Watcher, watchers)
	for i := range ws {
		w, err := h.Watch(context.Background(), registry.WatchRequest{KeyRange: keys(i)})
		if err != nil {
			b.Fatal(err)
		}
		ws[i] = w
	}
	return h, ws, &endless{revision: 1, key: key}
}

// endless is a history in which every revision puts one key.
type endless struct {
	revision int64
	key      string
	events   []registry.Event
}

func (e *endless) Revision(space registry.Space) int64 {
	if space == registry.SpaceKV {
		return e.revision
	}
	return 1
}

func (e *endless) Compacted(registry.Space) int64 { return 0 }

func (e *endless) Commits(_ registry.Space, from, to int64, yield func(registry.Commit) bool) error {
	if e.events == nil {
		e.events = []registry.Event{{KV: registry.KeyValue{Key: e.key, Value: make([]byte, 128)}}}
	}
	for rev := from; rev <= to; rev++ {
		if !yield(registry.Commit{Revision: rev, Events: e.events}) {
			break
		}
	}
	return nil
}

// handOut publishes and hands out one commit, and empties the watchers' buffers
// whenever some are half full.
func handOut(b *testing.B, h *Hub, v *endless, ws []registry.Watcher) {
	b.ReportAllocs()
	for b.Loop() {
		v.revision++
		h.Publish(v)
		h.step()
		if v.revision%512 == 0 {
			b.StopTimer()
			for _, w := range ws {
				_, _, _ = w.(*watcher).take()
			}
			b.StartTimer()
		}
	}
	if n := h.Stats().LeftBehind; n > 0 {
		b.Fatalf("%d watchers were left behind", n)
	}
}

// One commit to ten thousand watchers of one prefix.
func BenchmarkFanOutOnePrefix(b *testing.B) {
	h, ws, v := benchHub(b, 10_000, func(int) registry.KeyRange { return registry.Prefix("service/") }, "service/web")
	handOut(b, h, v, ws)
}

// One commit to one of ten thousand watchers of a key each.
func BenchmarkDistinctKeys(b *testing.B) {
	h, ws, v := benchHub(b, 10_000, func(i int) registry.KeyRange { return registry.One(fmt.Sprintf("key/%05d", i)) }, "key/04711")
	handOut(b, h, v, ws)
}

// One commit to one of ten thousand watchers of a prefix each.
func BenchmarkDistinctPrefixes(b *testing.B) {
	h, ws, v := benchHub(b, 10_000, func(i int) registry.KeyRange { return registry.Prefix(fmt.Sprintf("key/%05d/", i)) }, "key/04711/a")
	handOut(b, h, v, ws)
}

// One commit to ten thousand consumers that wait in Next, until each of them has it.
func BenchmarkWakeOnePrefix(b *testing.B) {
	const watchers = 10_000
	h := NewHub(&endless{revision: 1}, Config{})
	b.Cleanup(h.Close)
	got := make(chan struct{}, watchers)
	for range watchers {
		w, err := h.Watch(b.Context(), registry.WatchRequest{KeyRange: registry.All()})
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			for {
				if _, err := w.Next(context.Background()); err != nil {
					return
				}
				got <- struct{}{}
			}
		}()
	}
	revision := int64(1)
	b.ReportAllocs()
	for b.Loop() {
		revision++
		h.Publish(&endless{revision: revision, key: "a"})
		for range watchers {
			<-got
		}
	}
}

// Adding and removing a watcher among ten thousand others.
func BenchmarkWatchAndClose(b *testing.B) {
	h, _, _ := benchHub(b, 10_000, func(i int) registry.KeyRange { return registry.Prefix(fmt.Sprintf("key/%05d/", i)) }, "")
	b.ReportAllocs()
	for b.Loop() {
		w, err := h.Watch(context.Background(), registry.WatchRequest{KeyRange: registry.Prefix("key/other/")})
		if err != nil {
			b.Fatal(err)
		}
		w.Close()
	}
}
