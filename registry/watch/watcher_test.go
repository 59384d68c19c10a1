package watch

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

// bed is a hub whose hand-out a test drives itself, so that it can look at every
// moment in between.
type bed struct {
	*testing.T
	log log
	hub *Hub
}

func newBed(t *testing.T, cfg Config) *bed {
	b := &bed{T: t}
	b.hub = newHub(b.log.state(), cfg)
	t.Cleanup(b.hub.Close)
	return b
}

func (b *bed) publish() { b.hub.Publish(b.log.state()) }

// flow publishes and hands out.
func (b *bed) flow() {
	b.publish()
	b.hub.step()
}

func (b *bed) watch(r registry.WatchRequest) registry.Watcher {
	b.Helper()
	w, err := b.hub.Watch(context.Background(), r)
	if err != nil {
		b.Fatalf("Watch(%+v): %v", r, err)
	}
	return w
}

// next is what Next returns at once, "" if it would wait.
func (b *bed) next(w registry.Watcher) string {
	b.Helper()
	commits, err := now(w)
	if err != nil && !errors.Is(err, context.Canceled) {
		b.Fatalf("Next: %v", err)
	}
	return show(commits)
}

// now is Next, cancelled when it would wait. It must not lose what is there, so that
// it does what Next does without the waiting.
func now(w registry.Watcher) ([]registry.Commit, error) {
	own := w.(*watcher)
	for {
		commits, behind, err := own.take()
		if len(commits) > 0 || err != nil {
			return commits, err
		}
		if !behind {
			return nil, context.Canceled
		}
		if commits, err = own.catchUp(); len(commits) > 0 || err != nil {
			return commits, err
		}
	}
}

func (b *bed) is(what, got, want string) {
	b.Helper()
	if got != want {
		b.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (b *bed) synced(w registry.Watcher, want int64) {
	b.Helper()
	if got := w.Synced(); got != want {
		b.Errorf("Synced: got %d, want %d", got, want)
	}
}

func kv(keys registry.KeyRange) registry.WatchRequest { return registry.WatchRequest{KeyRange: keys} }

func TestRangesAndFilters(t *testing.T) {
	commits := [][]string{
		{"a"}, {"b", "ba", "c"}, {}, {"-b", "c"}, {"-a", "-ba", "-c"}, {"d"}, {"b\x00"},
	}
	for _, tt := range []struct {
		name string
		r    registry.WatchRequest
		want string
	}{
		{"one key", kv(registry.One("b")), "3:b 5:-b"},
		{"a prefix", kv(registry.Prefix("b")), "3:b,ba 5:-b 6:-ba 8:b\x00"},
		{"a range", kv(registry.KeyRange{Start: "a", End: "b"}), "2:a 6:-a"},
		{"no upper bound", kv(registry.From("c")), "3:c 5:c 6:-c 7:d"},
		{"everything", kv(registry.All()), "2:a 3:b,ba,c 5:-b,c 6:-a,-ba,-c 7:d 8:b\x00"},
		{"an empty range", kv(registry.KeyRange{Start: "c", End: "a"}), ""},
		{"a key that is never written", kv(registry.One("x")), ""},
		{"no puts", registry.WatchRequest{KeyRange: registry.All(), SkipPuts: true}, "5:-b 6:-a,-ba,-c"},
		{"no deletes", registry.WatchRequest{KeyRange: registry.Prefix("b"), SkipDeletes: true}, "3:b,ba 8:b\x00"},
		{"neither", registry.WatchRequest{KeyRange: registry.All(), SkipPuts: true, SkipDeletes: true}, ""},
		{"another space", registry.WatchRequest{Space: registry.SpaceSession, KeyRange: registry.All()}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, Config{})
			live := b.watch(tt.r)
			twin := b.watch(tt.r)
			for _, c := range commits {
				b.log.put(c...)
			}
			b.flow()
			b.is("live", b.next(live), tt.want)
			b.is("of the same group", b.next(twin), tt.want)
			past := tt.r
			past.StartRevision = 1
			b.is("from history", b.next(b.watch(past)), tt.want)
		})
	}
}

func TestCommitIsWhole(t *testing.T) {
	b := newBed(t, Config{})
	all, one := b.watch(kv(registry.All())), b.watch(kv(registry.One("b")))
	b.log.put("a", "b")
	b.flow()
	for _, w := range []registry.Watcher{all, one} {
		commits, err := now(w)
		if err != nil || len(commits) != 1 || commits[0].Origin.Who != "writer of 2" {
			t.Errorf("Next: got %+v, %v; want one commit with its origin", commits, err)
		}
	}
}

func TestStart(t *testing.T) {
	b := newBed(t, Config{})
	b.log.put("a") // 2
	b.log.put("b") // 3
	b.flow()

	t.Run("now, while the hub lags", func(t *testing.T) {
		b.log.put("c") // 4: published, not handed out
		b.publish()
		w := b.watch(kv(registry.All()))
		if w.StartedAt() != 4 {
			t.Errorf("StartedAt: got %d, want 4, the revision that was published", w.StartedAt())
		}
		b.synced(w, 4)
		b.hub.step()
		b.is("what was before", b.next(w), "")
		b.log.put("d") // 5
		b.flow()
		b.is("the first after", b.next(w), "5:d")
	})
	t.Run("in the past", func(t *testing.T) {
		r := kv(registry.All())
		r.StartRevision = 3
		w := b.watch(r)
		b.synced(w, 2)
		b.is("history", b.next(w), "3:b 4:c 5:d")
		b.log.put("e") // 6
		b.flow()
		b.is("then live", b.next(w), "6:e")
	})
	t.Run("in the future", func(t *testing.T) {
		r := kv(registry.All())
		r.StartRevision = 8
		w := b.watch(r)
		if w.StartedAt() != 6 {
			t.Errorf("StartedAt: got %d, want 6", w.StartedAt())
		}
		b.synced(w, 6)
		b.log.put("f") // 7
		b.flow()
		b.is("before its time", b.next(w), "")
		b.synced(w, 7)
		b.log.put("g") // 8
		b.log.put("h") // 9
		b.flow()
		b.is("from its time on", b.next(w), "8:g 9:h")
	})
	t.Run("at what was compacted to", func(t *testing.T) {
		b.log.put("-a") // 10
		b.log.compact(registry.SpaceKV, 10)
		b.flow()
		r := kv(registry.All())
		r.StartRevision = 10
		b.is("the delete at it", b.next(b.watch(r)), "10:-a")
	})
	t.Run("below", func(t *testing.T) {
		r := kv(registry.All())
		r.StartRevision = 9
		_, err := b.hub.Watch(t.Context(), r)
		var compacted *registry.CompactedError
		if !errors.As(err, &compacted) || compacted.Lowest != 10 || !errors.Is(err, registry.ErrCompacted) {
			t.Errorf("Watch: got %v, want a CompactedError with 10", err)
		}
	})
}

func TestWatchRefuses(t *testing.T) {
	b := newBed(t, Config{})
	for _, tt := range []struct {
		name string
		r    registry.WatchRequest
		want error
	}{
		{"a space that does not exist", registry.WatchRequest{Space: registry.NumSpaces, KeyRange: registry.All()}, registry.ErrInvalid},
		{"a negative revision", registry.WatchRequest{KeyRange: registry.All(), StartRevision: -1}, registry.ErrInvalid},
		{"a negative buffer", registry.WatchRequest{KeyRange: registry.All(), Buffer: -1}, registry.ErrInvalid},
		{"the empty key", registry.WatchRequest{}, registry.ErrEmptyKey},
	} {
		if _, err := b.hub.Watch(t.Context(), tt.r); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.hub.Watch(ended, kv(registry.All())); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: got %v", err)
	}
}

func TestSlowWatcher(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		r    registry.WatchRequest
	}{
		{"by count", Config{Buffer: 2}, kv(registry.Prefix("k"))},
		{"by its own count", Config{}, registry.WatchRequest{KeyRange: registry.Prefix("k"), Buffer: 2}},
		{"by bytes", Config{BufferBytes: 2 * (eventOverhead + 2)}, kv(registry.Prefix("k"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, tt.cfg)
			w := b.watch(tt.r)
			b.log.put("k2")
			b.log.put("k3")
			b.flow()
			if b.hub.Stats().LeftBehind != 0 {
				t.Error("left behind with a buffer that is not over its bound")
			}
			b.log.put("other")
			b.log.put("k5")
			b.log.put("k6")
			b.flow()
			if n := b.hub.Stats().LeftBehind; n != 1 {
				t.Errorf("LeftBehind: got %d, want 1", n)
			}
			b.synced(w, 1)
			b.is("what was buffered", b.next(w), "2:k2 3:k3")
			b.synced(w, 1)
			b.log.put("k7")
			b.flow()
			b.is("then from history", b.next(w), "5:k5 6:k6")
			b.is("to its end", b.next(w), "7:k7")
			b.is("and no more", b.next(w), "")
			b.synced(w, 7)
			b.log.put("k8")
			b.flow()
			b.is("then live again", b.next(w), "8:k8")
		})
	}
}

func TestOneCommitMayExceedTheBytes(t *testing.T) {
	b := newBed(t, Config{BufferBytes: 1})
	w := b.watch(kv(registry.All()))
	for range 3 {
		b.log.put("a")
		b.flow()
		if got := b.next(w); got == "" {
			t.Fatal("a commit larger than the bound was not delivered")
		}
	}
	if n := b.hub.Stats().LeftBehind; n != 0 {
		t.Errorf("LeftBehind: got %d, want 0", n)
	}
}

func TestCompactedWhileBehind(t *testing.T) {
	b := newBed(t, Config{Buffer: 1})
	lost, caughtUp := b.watch(kv(registry.One("a"))), b.watch(kv(registry.One("b")))
	b.log.put("a") // 2
	b.log.put("a") // 3: left behind
	b.log.put("b") // 4
	b.flow()
	b.log.compact(registry.SpaceKV, 4)
	b.flow()
	b.is("what was buffered", b.next(lost), "2:a")
	for range 2 {
		_, err := lost.Next(t.Context())
		var compacted *registry.CompactedError
		if !errors.As(err, &compacted) || compacted.Lowest != 4 || compacted.Space != registry.SpaceKV {
			t.Fatalf("Next: got %v, want a CompactedError with 4", err)
		}
	}
	b.is("one that was not behind", b.next(caughtUp), "4:b")
	if n := b.hub.Stats().Watchers; n != 1 {
		t.Errorf("Watchers: got %d, want 1: the lost one is gone", n)
	}
}

// A compaction that follows writes at once does not cost watchers anything, though
// the newest state lacks what the hub has yet to hand out.
func TestCompactionOvertakesTheHub(t *testing.T) {
	b := newBed(t, Config{})
	w := b.watch(kv(registry.All()))
	b.log.put("a")
	b.log.put("b")
	b.publish()
	b.log.compact(registry.SpaceKV, 3)
	b.publish()
	b.log.put("c")
	b.publish()
	b.hub.step()
	b.is("all", b.next(w), "2:a 3:b 4:c")
}

// Where even the states that wait lack what comes next, a watcher fails only if it
// needed that.
func TestHistoryMissesWhatTheHubNeeds(t *testing.T) {
	b := newBed(t, Config{})
	lost := b.watch(kv(registry.All()))
	r := kv(registry.All())
	r.StartRevision = 4
	later := b.watch(r)
	b.log.put("a") // 2
	b.log.put("b") // 3
	b.log.compact(registry.SpaceKV, 3)
	b.log.put("c") // 4
	b.flow()
	if _, err := now(lost); !errors.Is(err, registry.ErrCompacted) {
		t.Errorf("one that needs the lost revision: got %v, want ErrCompacted", err)
	}
	b.is("one that starts after it", b.next(later), "4:c")
	b.log.put("d") // 5
	b.flow()
	b.is("and goes on", b.next(later), "5:d")
}

func TestPendingIsBounded(t *testing.T) {
	b := newBed(t, Config{})
	for range 10 * maxPending {
		b.log.put("a")
		b.log.compact(registry.SpaceKV, b.log.revision(registry.SpaceKV))
		b.publish()
	}
	if n := len(b.hub.pending); n > maxPending {
		t.Errorf("%d states wait, want at most %d", n, maxPending)
	}
}

func TestSyncedDoesNotOvertake(t *testing.T) {
	b := newBed(t, Config{})
	w := b.watch(kv(registry.One("a")))
	b.synced(w, 1)
	b.log.put("x") // 2
	b.flow()
	b.synced(w, 2)
	b.log.put("a") // 3
	b.log.put("x") // 4
	b.publish()
	b.synced(w, 2)
	b.hub.step()
	b.synced(w, 2)
	b.is("Next", b.next(w), "3:a")
	b.synced(w, 2)
	b.is("Next again", b.next(w), "")
	b.synced(w, 4)
}

// A watcher that read the history ahead of the hub knows that it did.
func TestSyncedAheadOfTheHub(t *testing.T) {
	b := newBed(t, Config{})
	b.log.put("a") // 2
	b.log.put("x") // 3
	b.publish()
	w := b.watch(registry.WatchRequest{KeyRange: registry.One("a"), StartRevision: 1})
	b.is("history", b.next(w), "2:a")
	b.is("after it", b.next(w), "")
	b.synced(w, 3)
	b.hub.step()
	b.is("what the hub hands out late", b.next(w), "")
	b.synced(w, 3)
}

func TestCloseDropsWhatIsBuffered(t *testing.T) {
	b := newBed(t, Config{})
	w := b.watch(kv(registry.All()))
	b.log.put("a")
	b.flow()
	w.Close()
	w.Close()
	if _, err := w.Next(t.Context()); !errors.Is(err, registry.ErrWatchClosed) {
		t.Errorf("Next: got %v, want ErrWatchClosed", err)
	}
	b.synced(w, 1)
	if b.hub.Stats().Watchers != 0 || b.hub.spaces[registry.SpaceKV].watchers != 0 {
		t.Error("the hub still has the watcher")
	}
}

func TestReset(t *testing.T) {
	b := newBed(t, Config{Buffer: 1})
	buffered, behind := b.watch(kv(registry.All())), b.watch(registry.WatchRequest{KeyRange: registry.All(), StartRevision: 1})
	b.log.put("a")
	b.log.put("b")
	b.flow()
	b.log.put("c")
	b.publish() // is never handed out

	restored := log{}
	restored.put("z")
	b.hub.Reset(restored.state())
	b.hub.step()
	for _, w := range []registry.Watcher{buffered, behind} {
		if commits, err := w.Next(t.Context()); !errors.Is(err, registry.ErrWatchReset) {
			t.Errorf("Next: got %s, %v; want ErrWatchReset", show(commits), err)
		}
	}
	w := b.watch(kv(registry.All()))
	if w.StartedAt() != 2 {
		t.Errorf("StartedAt: got %d, want 2, the restored revision", w.StartedAt())
	}
	restored.put("y")
	b.hub.Publish(restored.state())
	b.hub.step()
	b.is("after the restore", b.next(w), "3:y")
}

// A reset ends the hand-out of a state that was taken before it.
func TestResetDuringHandOut(t *testing.T) {
	b := newBed(t, Config{})
	b.watch(kv(registry.All()))
	b.log.put("a")
	var w registry.Watcher
	b.hub.Publish(&interrupted{b.log.state(), func() {
		b.hub.Reset((&log{}).state())
		w = b.watch(kv(registry.All()))
	}})
	b.hub.step()
	b.is("of the old state", b.next(w), "")
	b.synced(w, 1)
}

// interrupted calls between before it yields its first commit.
type interrupted struct {
	*logState
	between func()
}

func (s *interrupted) Commits(space registry.Space, from, to int64, yield func(registry.Commit) bool) error {
	s.between()
	return s.logState.Commits(space, from, to, yield)
}

// A reset while a watcher reads the history lets nothing of either state through.
func TestResetDuringCatchUp(t *testing.T) {
	b := newBed(t, Config{})
	b.log.put("a")
	b.hub.Publish(&interrupted{b.log.state(), func() { b.hub.Reset((&log{}).state()) }})
	b.hub.step()
	w := b.watch(registry.WatchRequest{KeyRange: registry.All(), StartRevision: 2})
	if commits, err := w.Next(t.Context()); !errors.Is(err, registry.ErrWatchReset) {
		t.Errorf("Next: got %s, %v; want ErrWatchReset", show(commits), err)
	}
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		h := NewHub(l.state(), Config{})
		defer h.Close()
		w, err := h.Watch(t.Context(), kv(registry.Prefix("a")))
		if err != nil {
			t.Fatal(err)
		}
		var got []registry.Commit
		go func() { got, err = w.Next(context.Background()) }()
		l.put("b")
		h.Publish(l.state())
		synctest.Wait()
		if got != nil {
			t.Errorf("Next returned %s for a key that is not watched", show(got))
		}
		l.put("a")
		h.Publish(l.state())
		synctest.Wait()
		if show(got) != "3:a" || err != nil {
			t.Errorf("Next: got %s, %v; want 3:a", show(got), err)
		}
	})
}

// A watcher that waits learns that the history lost what comes next.
func TestNextWaitsForLostHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		h := NewHub(l.state(), Config{})
		defer h.Close()
		w, err := h.Watch(t.Context(), kv(registry.One("other")))
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, err = w.Next(context.Background()) }()
		synctest.Wait()
		l.put("a")
		l.put("b")
		l.compact(registry.SpaceKV, 3)
		h.Publish(l.state())
		synctest.Wait()
		if !errors.Is(err, registry.ErrCompacted) {
			t.Errorf("Next: got %v, want ErrCompacted", err)
		}
	})
}

func TestNextsOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		h := NewHub(l.state(), Config{})
		defer h.Close()
		w, err := h.Watch(context.Background(), kv(registry.All()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := w.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next: got %v, want DeadlineExceeded", err)
		}
		l.put("a")
		h.Publish(l.state())
		synctest.Wait()
		if _, err := w.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next with a context that has ended: got %v, want DeadlineExceeded", err)
		}
		if got, err := w.Next(t.Context()); show(got) != "2:a" || err != nil {
			t.Errorf("Next with another: got %s, %v; want 2:a", show(got), err)
		}
	})
}

// What ends a watcher ends a Next under way.
func TestEndsNext(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(h *Hub, w registry.Watcher, cancel func())
		want error
	}{
		{"Watcher.Close", func(_ *Hub, w registry.Watcher, _ func()) { w.Close() }, registry.ErrWatchClosed},
		{"the watch's context", func(_ *Hub, _ registry.Watcher, cancel func()) { cancel() }, context.Canceled},
		{"Reset", func(h *Hub, _ registry.Watcher, _ func()) { h.Reset((&log{}).state()) }, registry.ErrWatchReset},
		{"Hub.Close", func(h *Hub, _ registry.Watcher, _ func()) { h.Close() }, registry.ErrStopped},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := NewHub((&log{}).state(), Config{})
				defer h.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w, err := h.Watch(ctx, kv(registry.All()))
				if err != nil {
					t.Fatal(err)
				}
				go func() { _, err = w.Next(context.Background()) }()
				synctest.Wait()
				tt.end(h, w, cancel)
				synctest.Wait()
				if !errors.Is(err, tt.want) {
					t.Errorf("Next: got %v, want %v", err, tt.want)
				}
				w.Close()
				cancel()
				synctest.Wait()
				if _, err := w.Next(context.Background()); !errors.Is(err, tt.want) {
					t.Errorf("Next after that: got %v, want %v still", err, tt.want)
				}
				if n := h.Stats().Watchers; n != 0 {
					t.Errorf("Watchers: got %d, want 0", n)
				}
			})
		})
	}
}

func TestClosedHub(t *testing.T) {
	var l log
	h := NewHub(l.state(), Config{})
	h.Close()
	h.Close()
	l.put("a")
	h.Publish(l.state())
	h.Reset(l.state())
	if _, err := h.Watch(t.Context(), kv(registry.All())); !errors.Is(err, registry.ErrStopped) {
		t.Errorf("Watch: got %v, want ErrStopped", err)
	}
}

func TestStats(t *testing.T) {
	b := newBed(t, Config{})
	ws := []registry.Watcher{b.watch(kv(registry.All())), b.watch(kv(registry.One("a")))}
	b.log.put("a")
	b.log.commit(registry.SpaceCatalog, "a")
	b.publish()
	if s := b.hub.Stats(); s != (Stats{Watchers: 2, Lag: 2}) {
		t.Errorf("Stats: got %+v", s)
	}
	b.hub.step()
	for w := range slices.Values(ws) {
		w.Close()
	}
	if s := b.hub.Stats(); s != (Stats{}) {
		t.Errorf("Stats: got %+v", s)
	}
}
