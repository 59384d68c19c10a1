package skydns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
	"herald/registry/storetest"

	"pgregory.net/rapid"
)

// lines is a log that tests read.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.all.String(), text)
}

// follow has a follower of s run until the test ends, or stop is called.
func follow(t *testing.T, s Store) (f *Follower, log *lines, stop func() error) {
	log = &lines{}
	f = NewFollower(s, usual, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Follow(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	return f, log, stop
}

func put(t testing.TB, s registry.Store, key, value string, lease registry.LeaseID) int64 {
	t.Helper()
	r, err := registry.Put(context.Background(), s, registry.PutRequest{Key: key, Value: []byte(value), Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	return r.Revision
}

func remove(t testing.TB, s registry.Store, key string) {
	t.Helper()
	if _, err := registry.Delete(context.Background(), s, registry.DeleteRequest{KeyRange: registry.One(key)}); err != nil {
		t.Fatal(err)
	}
}

func wantHosts(t testing.TB, f *Follower, name, want string) {
	t.Helper()
	if f.Tree() == nil {
		t.Fatal("nothing was read")
	}
	if found, _ := f.Tree().Lookup(nil, pathOf(t, name), MaxWork); hosts(found) != want {
		t.Errorf("%s finds %q; want %q", name, hosts(found), want)
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open()
		defer s.Close()
		put(t, s, "/skydns/local/a", `{"host":"10.0.0.1"}`, 0)
		put(t, s, "/other", "x", 0)
		f, log, stop := follow(t, s)
		synctest.Wait()
		wantHosts(t, f, "local", "10.0.0.1")
		if n := f.Tree().Revision(); n != 2 {
			t.Errorf("the revision is %d, and 2 that of the record", n)
		}

		put(t, s, "/other", "y", 0)
		put(t, s, "/skydnsx/local/a", `{"host":"10.0.0.9"}`, 0)
		last := put(t, s, "/skydns/local/b", `{"host":"10.0.0.2"}`, 0)
		put(t, s, "/other", "z", 0)
		before := f.Tree()
		synctest.Wait()
		wantHosts(t, f, "local", "10.0.0.1 10.0.0.2")
		if n := f.Tree().Revision(); n != last {
			t.Errorf("the revision is %d, and %d that of the last record", n, last)
		}
		if before.Len() != 1 {
			t.Error("a tree has changed")
		}

		// What is no record is told of once, whatever becomes of the rest.
		put(t, s, "/skydns/local/b", `not JSON`, 0)
		put(t, s, "/skydns/local/x.y", `{}`, 0)
		synctest.Wait()
		wantHosts(t, f, "local", "10.0.0.1")
		if f.Refused() != 2 || log.count("left out") != 2 {
			t.Errorf("%d are refused; %s", f.Refused(), log.all.String())
		}
		put(t, s, "/skydns/local/b", `{"host":"10.0.0.3"}`, 0)
		remove(t, s, "/skydns/local/x.y")
		remove(t, s, "/skydns/local/a")
		synctest.Wait()
		wantHosts(t, f, "local", "10.0.0.3")
		if f.Refused() != 0 || f.Age() != 0 {
			t.Errorf("%d are refused; %v old", f.Refused(), f.Age())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestManyRefusals: the log is not filled by one whose keys are something else.
func TestManyRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open()
		defer s.Close()
		for i := range 100 {
			put(t, s, fmt.Sprintf("/skydns/%d", i), "no record", 0)
		}
		f, log, _ := follow(t, s)
		synctest.Wait()
		if f.Refused() != 100 || log.count("a SkyDNS record is left out") != tellMost || log.count("number=90") != 1 {
			t.Errorf("%d are refused; %s", f.Refused(), log.all.String())
		}
	})
}

// TestLeasesEnd: with its lease a record is gone; until then it is cached for no longer than leasedTTL.
func TestLeasesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open()
		defer s.Close()
		if _, err := s.GrantLease(context.Background(), 7, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		put(t, s, "/skydns/local/a", `{"host":"10.0.0.1","ttl":3600}`, 7)
		put(t, s, "/skydns/local/b", `{"host":"10.0.0.2","ttl":5}`, 7)
		put(t, s, "/skydns/local/c", `{"host":"10.0.0.3","ttl":3600}`, 0)
		f, _, _ := follow(t, s)
		synctest.Wait()
		found, _ := f.Tree().Lookup(nil, pathOf(t, "local"), MaxWork)
		if len(found) != 3 || found[0].TTL != leasedTTL || found[1].TTL != 5 || found[2].TTL != 3600 {
			t.Fatalf("%+v", found)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		wantHosts(t, f, "local", "10.0.0.3")
	})
}

// trouble is a store whose watches can be ended, and whose reads be refused.
type trouble struct {
	registry.Store
	refuse atomic.Pointer[error]
	// reading is called before each page after the first.
	reading func()

	mu       sync.Mutex
	watchers []registry.Watcher
}

func (s *trouble) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	if err := s.refuse.Load(); err != nil {
		return registry.RangeResult{}, *err
	}
	if r.Revision > 0 && s.reading != nil {
		s.reading()
	}
	return s.Store.Range(ctx, r)
}

func (s *trouble) Watch(ctx context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	w, err := s.Store.Watch(ctx, r)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.watchers = append(s.watchers, w)
	}
	return w, err
}

func (s *trouble) endWatches() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.watchers {
		w.Close()
	}
	s.watchers = nil
}

// TestFollowAfterALoss: a watch that ended, with history compacted beyond it meanwhile, is made up for by reading
// anew; meanwhile there is what there was, and it ages.
func TestFollowAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.Open()
		defer memory.Close()
		s := &trouble{Store: memory}
		put(t, s, "/skydns/local/a", `{"host":"10.0.0.1"}`, 0)
		put(t, s, "/skydns/local/bad", `{`, 0)
		f, log, _ := follow(t, s)
		if f.Age() != unknownAge {
			t.Errorf("%v old before anything was read", f.Age())
		}
		synctest.Wait()

		refusal := errors.New("the disk is on fire")
		s.refuse.Store(&refusal)
		s.endWatches()
		put(t, s, "/skydns/local/b", `{"host":"10.0.0.2"}`, 0)
		remove(t, s, "/skydns/local/a")
		last := put(t, s, "/skydns/local/worse", `{`, 0)
		put(t, s, "/other", "x", 0)
		if err := s.Compact(context.Background(), registry.SpaceKV, last+1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		wantHosts(t, f, "local", "10.0.0.1")
		if age := f.Age(); age < 59*time.Second || age > time.Minute {
			t.Errorf("%v old after a minute", age)
		}
		if n := log.count("read anew"); n < 20 || n > 60 {
			t.Errorf("tried %d times in a minute", n)
		}

		s.refuse.Store(nil)
		time.Sleep(retryMost)
		synctest.Wait()
		wantHosts(t, f, "local", "10.0.0.2")
		if f.Age() != 0 || f.Refused() != 2 || log.count("left out") != 2 || f.Tree().Revision() != last {
			t.Errorf("%v old, %d refused, revision %d; want 0, 2, %d\n%s", f.Age(), f.Refused(), f.Tree().Revision(), last, log.all.String())
		}
		put(t, s, "/skydns/local/c", `{"host":"10.0.0.3"}`, 0)
		synctest.Wait()
		wantHosts(t, f, "local", "10.0.0.2 10.0.0.3")
	})
}

// TestFollowReadsOneRevision: keys that come and go while pages are read, and compaction between them, leave nothing half read.
func TestFollowReadsOneRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.Open()
		defer memory.Close()
		s := &trouble{Store: memory}
		const keys = 2*pageKeys + 100
		for i := range keys {
			put(t, s, fmt.Sprintf("/skydns/local/%05d", i), `{"text":"t"}`, 0)
		}
		rounds := 0
		s.reading = func() {
			if rounds++; rounds > 2 {
				return
			}
			remove(t, memory, fmt.Sprintf("/skydns/local/%05d", rounds))
			last := put(t, memory, fmt.Sprintf("/skydns/local/%05d", keys+rounds), `{"text":"t"}`, 0)
			if rounds == 1 {
				if err := memory.Compact(context.Background(), registry.SpaceKV, last); err != nil {
					t.Error(err)
				}
			}
		}
		f, log, _ := follow(t, s)
		time.Sleep(time.Second)
		synctest.Wait()
		if f.Tree() == nil || f.Tree().Len() != keys {
			t.Fatal("not all keys were read")
		}
		if log.count("read anew") != 1 {
			t.Errorf("%s", log.all.String())
		}
		if found, _ := f.Tree().Lookup(nil, pathOf(t, "00001.local"), MaxWork); len(found) != 0 {
			t.Error("what was deleted meanwhile is there")
		}
	})
}

func TestFollowAfterARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Open()
		defer s.Close()
		put(t, s, "/skydns/local/a", `{"host":"10.0.0.1"}`, 0)
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, "/skydns/local/b", `{"host":"10.0.0.2"}`, 0)
		f, _, stop := follow(t, s)
		synctest.Wait()
		wantHosts(t, f, "local", "10.0.0.1 10.0.0.2")
		if err := s.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		wantHosts(t, f, "local", "10.0.0.1")
		s.Close()
		synctest.Wait()
		if err := stop(); !errors.Is(err, registry.ErrStopped) {
			t.Errorf("Follow returned %v", err)
		}
	})
}

// TestFollowIsTheStore: whatever is written, granted, revoked, compacted and lost, in the end the tree is what the store has.
func TestFollowIsTheStore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 60).Draw(rt, "steps")
		keys := rapid.SliceOfN(rapid.Custom(anyKey), len(steps), len(steps)).Draw(rt, "keys")
		values := rapid.SliceOfN(rapid.SampledFrom([]string{`{"host":"10.0.0.1"}`, `{"host":"b.a"}`, `{`}), len(steps), len(steps)).Draw(rt, "values")
		names := rapid.SliceOfN(rapid.Custom(anyName), 10, 10).Draw(rt, "names")
		synctest.Test(t, func(t *testing.T) {
			memory := storetest.Open()
			defer memory.Close()
			s := &trouble{Store: memory}
			f, _, stop := follow(t, s)
			ctx := context.Background()
			for i, step := range steps {
				switch step {
				case 0, 1, 2, 3:
					put(t, s, keys[i], values[i], 0)
				case 4:
					remove(t, s, keys[i])
				case 5:
					_, _ = s.GrantLease(ctx, 1, 5*time.Second) // or it is there
				case 6:
					_, _ = registry.Put(ctx, s, registry.PutRequest{Key: keys[i], Value: []byte(values[i]), Lease: 1}) // if it is there
				case 7:
					s.endWatches()
				case 8:
					r, err := s.Range(ctx, registry.RangeRequest{KeyRange: registry.One("x")})
					if err != nil {
						t.Fatal(err)
					}
					_ = s.Compact(ctx, registry.SpaceKV, r.Revision) // or it was
				case 9:
					time.Sleep(3 * time.Second)
				}
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			r, err := s.Range(ctx, registry.RangeRequest{KeyRange: usual.Range()})
			if err != nil {
				t.Fatal(err)
			}
			now := map[string]registry.KeyValue{}
			for _, kv := range r.KVs {
				now[kv.Key] = kv
			}
			for _, name := range names {
				wantLookup(rt, f.Tree(), now, name)
			}
			if bad := len(now) - f.Tree().Len(); int64(bad) != f.Refused() {
				rt.Fatalf("%d of %d keys are in no tree, and %d refused", bad, len(now), f.Refused())
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	})
}
