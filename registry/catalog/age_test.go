package catalog

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
	"herald/registry/storetest"
)

// aged is a store whose own copy is of an age.
type aged struct {
	registry.Store
	age atomic.Int64 // time.Duration
}

func (s *aged) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	res, err := s.Store.Range(ctx, r)
	if r.Consistency == registry.Stale {
		res.Age = time.Duration(s.age.Load())
	}
	return res, err
}

// A server that restarts has an old copy until its log is replayed: the catalog
// is not read from it.
func TestFollowWaitsUntilTheStoreIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &aged{Store: storetest.NewMemory(t)}
		s.age.Store(math.MaxInt64)
		write(t, s, node("n"))
		c := follow(t, s)
		time.Sleep(DefaultBootWait - time.Second)
		if x := c.Index(); x.Revision() != 0 || c.Age() != math.MaxInt64 {
			t.Fatalf("before any leader was heard: revision %d, age %v", x.Revision(), c.Age())
		}
		r := write(t, s, instance("n", "1", "web")) // the rest of the log
		s.age.Store(0)
		began := time.Now()
		x, err := c.WaitRevision(t.Context(), 1)
		if err != nil || x.Revision() != r || x.Service("web") == nil {
			t.Errorf("the first index is at %d, want %d: %v", x.Revision(), r, err)
		}
		if took := time.Since(began); took > 2*confirmedPoll {
			t.Errorf("it took %v to notice", took)
		}
		if got := c.Age(); got != 0 {
			t.Errorf("age %v, want 0", got)
		}
	})
}

// Without a quorum a server serves what it has, and says how old that may be.
func TestFollowServesUnconfirmedInTheEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		options []Option
		wait    time.Duration
	}{
		"by default":   {nil, DefaultBootWait},
		"as set":       {[]Option{WithBootWait(time.Minute)}, time.Minute},
		"not at all":   {[]Option{WithBootWait(0)}, 0},
		"less than 0":  {[]Option{WithBootWait(-time.Second)}, 0},
		"less a poll":  {[]Option{WithBootWait(1)}, confirmedPoll},
		"not by polls": {[]Option{WithBootWait(3*confirmedPoll - 1)}, 3 * confirmedPoll},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &aged{Store: storetest.NewMemory(t)}
				s.age.Store(math.MaxInt64)
				r := write(t, s, node("n"))
				began := time.Now()
				c := follow(t, s, tt.options...)
				x, err := c.WaitRevision(t.Context(), 1)
				if took := time.Since(began); err != nil || took != tt.wait || x.Revision() != r {
					t.Errorf("revision %d after %v, %v; want %d after %v", x.Revision(), took, err, r, tt.wait)
				}
				if got := c.Age(); got != math.MaxInt64 {
					t.Errorf("age %v of what nobody has confirmed", got)
				}
				// It follows what comes, and its age is the store's.
				x = at(t, c, write(t, s, instance("n", "1", "web")))
				s.age.Store(int64(time.Second))
				if x.Service("web") == nil || c.Age() != time.Second {
					t.Errorf("age %v, want 1s; services %v", c.Age(), x.Size())
				}
			})
		})
	}
}

// led is a cluster that may have a leader, and a server of it that may not have applied all
// of its log.
type led struct {
	registry.Cluster
	by        atomic.Pointer[string]
	unapplied atomic.Uint64
}

func (l *led) Status() registry.Status {
	st := registry.Status{Applied: 5, LastIndex: 5 + l.unapplied.Load()}
	if by := l.by.Load(); by != nil {
		st.Leader = *by
	}
	return st
}

// A server that was started without a leader to be found has a log, and cannot know how much of
// it counts: what its snapshot held is not what it last knew.
func TestFollowWaitsForWhatIsInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, cluster := &aged{Store: storetest.NewMemory(t)}, &led{}
		s.age.Store(math.MaxInt64)
		cluster.unapplied.Store(1)
		r := write(t, s, node("n"))
		c := follow(t, s, WithCluster(cluster))
		time.Sleep(100 * DefaultBootWait)
		if x := c.Index(); x.Revision() != 0 {
			t.Fatalf("served at revision %d without what is in the log", x.Revision())
		}
		cluster.unapplied.Store(0)
		began := time.Now()
		x, err := c.WaitRevision(t.Context(), 1)
		if took := time.Since(began); err != nil || x.Revision() != r || took < DefaultBootWait-confirmedPoll || took > DefaultBootWait+confirmedPoll {
			t.Errorf("revision %d after %v, %v; want %d after %v", x.Revision(), took, err, r, DefaultBootWait)
		}
	})
}

// With a leader the log is replayed sooner or later, and half of it must not be served
// because it takes long.
func TestFollowWaitsForALongLog(t *testing.T) {
	for name, leaves := range map[string]bool{"to its end": false, "until the leader is gone": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, cluster, leader := &aged{Store: storetest.NewMemory(t)}, &led{}, "a"
				s.age.Store(math.MaxInt64)
				r := write(t, s, node("n"))
				c := follow(t, s, WithCluster(cluster))
				time.Sleep(DefaultBootWait / 2)
				cluster.by.Store(&leader)
				time.Sleep(100 * DefaultBootWait)
				if x := c.Index(); x.Revision() != 0 {
					t.Fatalf("served at revision %d while its log was being replayed", x.Revision())
				}
				began, least := time.Now(), time.Duration(0)
				if leaves {
					cluster.by.Store(nil)
					least = DefaultBootWait - confirmedPoll
				} else {
					s.age.Store(0)
				}
				x, err := c.WaitRevision(t.Context(), 1)
				if took := time.Since(began); err != nil || x.Revision() != r || took < least || took > least+2*confirmedPoll {
					t.Errorf("revision %d after %v, %v; want %d after %v", x.Revision(), took, err, r, least)
				}
			})
		})
	}
}

func TestFollowEndsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &aged{Store: storetest.NewMemory(t)}
		s.age.Store(math.MaxInt64)
		c := New(WithBootWait(time.Hour))
		stop := start(t, c, s)
		synctest.Wait()
		began := time.Now()
		stop()
		if took := time.Since(began); took != 0 || c.Index().Revision() != 0 {
			t.Errorf("it took %v to end, at revision %d", took, c.Index().Revision())
		}
	})
}

// The age is the store's own, and adds up with the time out of touch with it.
func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &aged{Store: storetest.NewMemory(t)}
		c := New()
		stop := start(t, c, s)
		at(t, c, 1)
		for _, age := range []time.Duration{0, 3 * time.Second, math.MaxInt64, time.Second} {
			s.age.Store(int64(age))
			if got := c.Age(); got != age {
				t.Errorf("the store is %v old and the catalog %v", age, got)
			}
		}
		stop()
		time.Sleep(2 * time.Second)
		s.age.Store(0)
		if got := c.Age(); got != 3*time.Second {
			t.Errorf("followed no more for 2s, when the store was 1s old: age %v", got)
		}
		start(t, c, s)
		synctest.Wait()
		if got := c.Age(); got != 0 {
			t.Errorf("followed again: age %v", got)
		}
	})
}

// held is a store whose watches deliver nothing until they are released.
type held struct {
	registry.Store
	release chan struct{}
}

type heldWatch struct {
	registry.Watcher
	release chan struct{}
}

func (s *held) Watch(ctx context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	w, err := s.Store.Watch(ctx, r)
	if err != nil {
		return nil, err
	}
	return &heldWatch{Watcher: w, release: s.release}, nil
}

func (w *heldWatch) Next(ctx context.Context) ([]registry.Commit, error) {
	select {
	case <-w.release:
		return w.Watcher.Next(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// An index is not fresh again before it has what it missed.
func TestAgeWhileBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory(t)
		c := New()
		stop := start(t, c, memory)
		at(t, c, 1)
		stop()
		r := write(t, memory, node("n"))
		s := &held{Store: memory, release: make(chan struct{})}
		start(t, c, s)
		time.Sleep(7 * time.Second)
		if got := c.Age(); got != 7*time.Second {
			t.Errorf("what was missed is not there, and the age is %v, want 7s", got)
		}
		close(s.release)
		at(t, c, r)
		if got := c.Age(); got != 0 {
			t.Errorf("age %v, want 0", got)
		}
	})
}
