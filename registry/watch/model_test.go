package watch

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"herald/registry"
)

// follower is a watcher with what it has returned, and what it must.
type follower struct {
	registry.Watcher
	r      registry.WatchRequest
	start  int64
	got    []registry.Commit
	synced int64
	err    error
	// ready says that WatchRequest.Ready was called, idle that the last Poll found
	// nothing.
	ready atomic.Bool
	idle  bool
}

func follow(t interface{ Fatalf(string, ...any) }, h *Hub, r registry.WatchRequest) *follower {
	f := &follower{r: r}
	if r.Ready == nil {
		r.Ready = func() { f.ready.Store(true) }
	}
	w, err := h.Watch(context.Background(), r)
	if err != nil {
		t.Fatalf("Watch(%+v): %v", r, err)
	}
	start := r.StartRevision
	if start == 0 {
		start = w.StartedAt() + 1
	}
	f.Watcher, f.start, f.synced = w, start, w.Synced()
	return f
}

// took notes what one Next returned.
func (f *follower) took(t interface{ Fatalf(string, ...any) }, commits []registry.Commit, err error) {
	if len(commits) > 0 && commits[0].Revision <= f.synced {
		t.Fatalf("%+v: Next returned %s after Synced was %d", f.r, show(commits), f.synced)
	}
	f.got = append(f.got, commits...)
	f.err = err
}

// sees checks Synced.
func (f *follower) sees(t interface{ Fatalf(string, ...any) }, current int64) {
	s := f.Synced()
	if s < f.synced || s > current {
		t.Fatalf("%+v: Synced went from %d to %d, at revision %d", f.r, f.synced, s, current)
	}
	f.synced = s
}

// ends checks that the follower got all there is, or was told that it cannot.
func (f *follower) ends(t interface{ Fatalf(string, ...any) }, l *log) {
	got, want := show(f.got), show(l.expected(f.r, f.start))
	var compacted *registry.CompactedError
	switch {
	case errors.As(f.err, &compacted):
		if len(got) > len(want) || want[:len(got)] != got {
			t.Fatalf("%+v:\ngot  %s\nwant a beginning of %s", f.r, got, want)
		}
		if compacted.Lowest <= f.Synced()+1 {
			t.Fatalf("%+v: was told that revisions below %d are lost, though synced to %d", f.r, compacted.Lowest, f.Synced())
		}
	case f.err != nil:
		t.Fatalf("%+v: Next: %v", f.r, f.err)
	case got != want:
		t.Fatalf("%+v:\ngot  %s\nwant %s", f.r, got, want)
	}
}

// Every watcher returns exactly what the history has for it from its start, in
// order, once; or learns that it was compacted. That holds for any interleaving of
// writes, publications, hand-outs, compactions, registrations and reads.
func TestWatchersSeeTheHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l log
		l.put("a", "b")
		l.put("c")
		published := l.state()
		h := newHub(published, Config{
			Buffer:      rapid.IntRange(1, 4).Draw(t, "buffer"),
			BufferBytes: rapid.IntRange(1, 4).Draw(t, "buffered events") * (eventOverhead + 4),
			CatchUp:     rapid.IntRange(1, 4).Draw(t, "catch up"),
		})
		defer h.Close()
		var followers []*follower
		genSpace := rapid.SampledFrom([]registry.Space{registry.SpaceKV, registry.SpaceCatalog})
		publish := func() {
			published = l.state()
			h.Publish(published)
		}
		one := func(t *rapid.T) *follower {
			if len(followers) == 0 {
				t.Skip("no watchers")
			}
			return rapid.SampledFrom(followers).Draw(t, "watcher")
		}

		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				keys := rapid.SliceOfNDistinct(genKey, 0, 3, rapid.ID).Draw(t, "keys")
				for i := range keys {
					if rapid.Bool().Draw(t, "deleted") {
						keys[i] = "-" + keys[i]
					}
				}
				l.commit(genSpace.Draw(t, "space"), keys...)
			},
			"publish": func(t *rapid.T) { publish() },
			"hand out": func(t *rapid.T) {
				publish()
				h.step()
			},
			"hand out what is pending": func(t *rapid.T) { h.step() },
			"compact": func(t *rapid.T) {
				space := genSpace.Draw(t, "space")
				if rapid.Bool().Draw(t, "published first") {
					publish()
				}
				l.compact(space, rapid.Int64Range(l.state().Compacted(space), l.revision(space)).Draw(t, "revision"))
			},
			"watch": func(t *rapid.T) {
				r := registry.WatchRequest{
					Space:       genSpace.Draw(t, "space"),
					KeyRange:    genRange.Draw(t, "range"),
					SkipPuts:    rapid.Bool().Draw(t, "skip puts"),
					SkipDeletes: rapid.Bool().Draw(t, "skip deletes"),
					WithEmpty:   rapid.Bool().Draw(t, "with empty"),
				}
				if rapid.Bool().Draw(t, "from a revision") {
					r.StartRevision = rapid.Int64Range(max(1, published.Compacted(r.Space)), published.Revision(r.Space)+2).Draw(t, "start")
				}
				f := follow(t, h, r)
				followers = append(followers, f)
			},
			"read": func(t *rapid.T) {
				f := one(t)
				f.ready.Store(false)
				commits, err := f.Poll()
				f.idle = len(commits) == 0 && err == nil
				f.took(t, commits, err)
			},
			"synced": func(t *rapid.T) {
				f := one(t)
				f.sees(t, published.Revision(f.r.Space))
			},
			"close": func(t *rapid.T) {
				f := one(t)
				f.Close()
				if _, err := f.Next(context.Background()); err == nil {
					t.Fatalf("Next after Close returned no error")
				}
				for i := range followers {
					if followers[i] == f {
						followers = append(followers[:i], followers[i+1:]...)
						break
					}
				}
			},
		})

		publish()
		h.step()
		for _, f := range followers {
			// Whoever polls and found nothing hears of what is there now.
			for f.err == nil && (f.ready.Load() || !f.idle) {
				f.ready.Store(false)
				commits, err := f.Poll()
				f.idle = len(commits) == 0 && err == nil
				f.took(t, commits, err)
			}
			f.ends(t, &l)
			if f.err == nil {
				if f.sees(t, published.Revision(f.r.Space)); f.synced != published.Revision(f.r.Space) {
					t.Fatalf("%+v: has returned all, but is synced to %d of %d", f.r, f.synced, published.Revision(f.r.Space))
				}
			}
		}
	})
}

// The same with real goroutines: a writer, a hub and consumers of all speeds at once.
func TestConcurrentWatchers(t *testing.T) {
	const writes, consumers = 2000, 24
	var l log
	h := NewHub(l.state(), Config{Buffer: 8, CatchUp: 16})
	defer h.Close()

	keys := []string{"a", "ab", "b", "ba", "c"}
	ranges := []registry.KeyRange{registry.All(), registry.One("a"), registry.Prefix("b"), registry.From("b"), registry.One("c")}
	const last = writes + 2 // the revision that writes every key
	followers := make([]*follower, consumers)
	var consuming sync.WaitGroup
	for i := range followers {
		r := kv(ranges[i%len(ranges)])
		if i%2 == 0 {
			r.StartRevision = 1
		}
		wake := make(chan struct{}, 1)
		r.Ready = func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
		f := follow(t, h, r)
		followers[i] = f
		consuming.Go(func() {
			pause := rand.New(rand.NewPCG(1, uint64(i)))
			for f.err == nil && (len(f.got) == 0 || f.got[len(f.got)-1].Revision < last) {
				for range pause.IntN(1 + i*4) {
					runtime.Gosched()
				}
				var commits []registry.Commit
				var err error
				if i%3 == 0 {
					commits, err = f.Next(context.Background())
				} else if commits, err = f.Poll(); len(commits) == 0 && err == nil {
					<-wake
				}
				f.took(failures{t}, commits, err)
				f.sees(failures{t}, last)
			}
		})
	}
	random := rand.New(rand.NewPCG(7, 7))
	for i := range writes {
		key := keys[random.IntN(len(keys))]
		if random.IntN(3) == 0 {
			key = "-" + key
		}
		l.put(key)
		if i%500 == 499 {
			h.Publish(l.state())
			l.compact(registry.SpaceKV, l.revision(registry.SpaceKV)-50)
		}
		h.Publish(l.state())
		if random.IntN(4) == 0 {
			runtime.Gosched()
		}
	}
	l.put(keys...)
	h.Publish(l.state())
	consuming.Wait()
	for _, f := range followers {
		f.ends(t, &l)
	}
}

// failures makes Fatalf of a goroutine that is not the test's own an Errorf.
type failures struct{ *testing.T }

func (f failures) Fatalf(format string, args ...any) { f.Errorf(format, args...) }
