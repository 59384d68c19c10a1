package raftstore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, func(c *Config) { c.MemoryLimit, c.HistoryCommits = 200<<10, 1 })
		s := c.stores[c.leader()]
		l, err := s.GrantLease(t.Context(), 0, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		put := func(i int, lease registry.LeaseID) error {
			_, err := registry.Put(t.Context(), s, registry.PutRequest{Key: fmt.Sprintf("k%d", i), Value: make([]byte, 10<<10), Lease: lease})
			return err
		}
		n := 0
		for ; err == nil && n < 100; n++ {
			err = put(n, l.ID)
		}
		if !errors.Is(err, registry.ErrResourceExhausted) {
			t.Fatalf("after %d puts: %v, want ErrResourceExhausted", n, err)
		}
		// What heals goes through.
		if _, err := s.KeepAlive(t.Context(), l.ID); err != nil {
			t.Errorf("keepalive: %v", err)
		}
		if _, err := registry.Delete(t.Context(), s, registry.DeleteRequest{KeyRange: registry.One("k0")}); err != nil {
			t.Errorf("delete: %v", err)
		}
		if _, err := s.RevokeLease(t.Context(), l.ID); err != nil {
			t.Errorf("revoke: %v", err)
		}
		// And it heals: once history is compacted, a put works again.
		time.Sleep(10 * c.configs[0].CompactInterval)
		if err := put(0, 0); err != nil {
			t.Errorf("it did not heal: %v", err)
		}
	})
}

// putAll puts keys in one transaction.
func putAll(t *testing.T, s registry.Store, value int, keys ...string) error {
	ops := make([]registry.Op, len(keys))
	for i, k := range keys {
		ops[i].Put = &registry.PutRequest{Key: k, Value: make([]byte, value)}
	}
	_, err := s.Txn(t.Context(), registry.Txn{Then: ops})
	return err
}

// History does not keep a store from healing, also when it would be kept for long.
func TestMemoryLimitHealsFromDeletes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ limit, value, perTxn int }{
		{400 << 10, 4 << 10, 1},
		{8 << 20, 100, 100}, // what is to be forgotten takes more than a few steps
	} {
		t.Run(fmt.Sprintf("values of %d bytes", c.value), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t, 1, func(cfg *Config) { cfg.MemoryLimit = int64(c.limit) })
				s := cl.stores[cl.leader()]
				var err error
				n := 0
				for err == nil && n < 100_000 {
					keys := make([]string, c.perTxn)
					for i := range keys {
						keys[i] = fmt.Sprintf("k%d", n)
						n++
					}
					err = putAll(t, s, c.value, keys...)
				}
				if !errors.Is(err, registry.ErrResourceExhausted) {
					t.Fatalf("after %d puts: %v, want ErrResourceExhausted", n, err)
				}
				if _, err := registry.Delete(t.Context(), s, registry.DeleteRequest{KeyRange: registry.Prefix("k")}); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				for err != nil {
					if err = putAll(t, s, c.value, "again"); err != nil && time.Since(start) > 3*time.Second {
						t.Fatalf("%v after everything was deleted: %v; %+v", time.Since(start), err, s.machine.View().Size())
					}
					time.Sleep(50 * time.Millisecond)
				}
			})
		})
	}
}

// A key that changes and changes is never refused: what it was is forgotten in time,
// the oldest first. And where it is the keys that fill the memory, the log is not
// filled with compactions.
func TestMemoryLimitForgetsTheOldest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, func(c *Config) { c.MemoryLimit = 400 << 10 })
		s := c.stores[c.leader()]
		for i := range 1000 {
			if err := putAll(t, s, 4<<10, "busy"); err != nil {
				t.Fatalf("overwrite %d: %v", i, err)
			}
			time.Sleep(time.Millisecond)
		}
		v := s.machine.View()
		if kept := v.Revision(registry.SpaceKV) - v.Compacted(registry.SpaceKV); kept < 10 {
			t.Errorf("only %d commits of history are kept though there is room", kept)
		}
		var err error
		for n := 0; err == nil && n < 1000; n++ {
			err = putAll(t, s, 4<<10, fmt.Sprintf("k%d", n))
		}
		if !errors.Is(err, registry.ErrResourceExhausted) {
			t.Fatalf("%v, want ErrResourceExhausted", err)
		}
		time.Sleep(time.Second)
		before := s.machine.View().Applied()
		for range 1000 {
			_ = putAll(t, s, 4<<10, "refused")
			time.Sleep(time.Millisecond)
		}
		if grew := s.machine.View().Applied() - before; grew > 50 {
			t.Errorf("%d log entries in a second in which every put was refused", grew)
		}
	})
}

// However little is written, what was compacted takes no memory soon after, on every server, and
// who waits for that finds the size that stays.
func TestCompactedMemoryComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, func(cfg *Config) { cfg.HistoryAge, cfg.HistoryCommits = 0, 0 })
		leader := c.leader()
		const revisions = 20_000
		fill(t, c.stores[leader], "k", 2000)
		for c.stores[leader].machine.View().Revision(registry.SpaceKV) < revisions {
			fill(t, c.stores[leader], "k", 2000)
		}
		before := c.stores[leader].machine.View().Size().Memory()
		// Asked of a follower, whose client it is that waits.
		f := c.stores[(leader+1)%3]
		if err := f.Compact(t.Context(), registry.SpaceKV, revisions); err != nil {
			t.Fatal(err)
		}
		sizes := make(map[*Store]int64)
		for i, s := range c.stores {
			if err := s.AwaitSwept(t.Context(), registry.SpaceKV, revisions); err != nil {
				t.Fatalf("server %d: %v", i, err)
			}
			sizes[s] = s.machine.View().Size().Memory()
			if sizes[s] > before/4 {
				t.Errorf("server %d: %d bytes when it was swept, of %d", i, sizes[s], before)
			}
		}
		time.Sleep(time.Minute)
		applied := f.machine.View().Applied()
		time.Sleep(time.Minute)
		for i, s := range c.stores {
			if size := s.machine.View().Size(); size.Memory() != sizes[s] || size.Unswept {
				t.Errorf("server %d: %d bytes later, %d when it was swept; unswept: %v", i, size.Memory(), sizes[s], size.Unswept)
			}
		}
		if now := f.machine.View().Applied(); now != applied {
			t.Errorf("with nothing to sweep, %d entries in a minute", now-applied)
		}
	})
}

// A wait ends with the store.
func TestAwaitSweptEndsWithTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		s := c.stores[c.leader()]
		waited := make(chan error, 1)
		go func() { waited <- s.AwaitSwept(context.Background(), registry.SpaceKV, 1<<40) }()
		synctest.Wait()
		mustClose(t, s)
		if err := <-waited; !errors.Is(err, registry.ErrStopped) {
			t.Errorf("%v, want ErrStopped", err)
		}
	})
}

func TestHistoryIsCompacted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		adjust  func(*Config)
		after   time.Duration
		lowest  int64
		highest int64
	}{
		{"by age", func(c *Config) { c.HistoryAge, c.HistoryCommits = time.Minute, 0 }, 65 * time.Second, 6, 8},
		{"by count", func(c *Config) { c.HistoryAge, c.HistoryCommits = 0, 7 }, 2 * time.Second, 14, 14},
		{"by neither", func(c *Config) { c.HistoryAge, c.HistoryCommits = 0, 0 }, time.Hour, 0, 0},
		{"by age, all of it", func(c *Config) { c.HistoryAge = time.Minute }, time.Hour, 21, 21},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t, 1, c.adjust)
				s := cl.stores[cl.leader()]
				for i := range 20 {
					mustPut(t, s, "k", fmt.Sprint(i))
					time.Sleep(time.Second)
				}
				time.Sleep(c.after - 20*time.Second)
				got := s.machine.View().Compacted(registry.SpaceKV)
				if got < c.lowest || got > c.highest {
					t.Errorf("compacted to %d, want %d to %d", got, c.lowest, c.highest)
				}
				wantValue(t, s, "k", "19")
				var who []registry.Origin
				v := s.machine.View()
				_ = v.Commits(registry.SpaceKV, got, v.Revision(registry.SpaceKV), func(c registry.Commit) bool {
					who = append(who, c.Origin)
					return true
				})
				for _, o := range who {
					if o.Why != registry.ReasonClient {
						t.Errorf("compaction made a commit: %+v", o)
					}
				}
			})
		})
	}
}
