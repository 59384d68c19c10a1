package raftstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"herald/registry"
	"herald/registry/archive"
)

func save(t testing.TB, s *Store) ([]byte, registry.SnapshotInfo) {
	t.Helper()
	var b bytes.Buffer
	info, err := s.SaveSnapshot(context.Background(), &b, false)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), info
}

func restore(s *Store, b []byte) error {
	_, err := s.RestoreSnapshot(context.Background(), bytes.NewReader(b))
	return err
}

// large puts something that takes several entries to restore (options.piece).
func large(t testing.TB, s *Store) {
	t.Helper()
	v := make([]byte, 18<<10)
	for j := range v {
		v[j] = byte(rand.Uint32())
	}
	mustPut(t, s, "large", string(v))
}

// same says that all servers that run have come to one state.
func (c *cluster) same(what string) {
	c.t.Helper()
	settle()
	want := c.stores[c.leader()].machine.View()
	for i, s := range c.stores {
		if s == nil {
			continue
		}
		if v := s.machine.View(); v.Hash() != want.Hash() || v.Applied() != want.Applied() {
			c.t.Errorf("%s: server %d has applied %d and is at %v, the leader %d at %v, hashes equal: %v",
				what, i, v.Applied(), v.Revisions(), want.Applied(), want.Revisions(), v.Hash() == want.Hash())
		}
	}
}

// noSpools says that no server has kept what was taken in.
func (c *cluster) noSpools() {
	c.t.Helper()
	left, err := filepath.Glob(filepath.Join(c.base, "*", tempDir, "*"))
	if err != nil || len(left) > 0 {
		c.t.Errorf("%v is left (%v)", left, err)
	}
}

func TestSaveSnapshot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, func(cfg *Config) { cfg.Version = "1.2.3" })
		l := c.leader()
		other := (l + 1) % 3
		grant(t, c.stores[l], time.Hour, "k")
		b, said := save(t, c.stores[other]) // contains what was acknowledged elsewhere
		info, err := archive.Inspect(bytes.NewReader(b))
		if err != nil || fmt.Sprint(info) != fmt.Sprint(said) {
			t.Errorf("it says\n%+v (%v), and said\n%+v", info, err, said)
		}
		term, _ := c.stores[l].leads()
		if info.Version != "1.2.3" || info.ClusterID != "test" || info.NodeID != string(c.servers[other].ID) || info.Leases != 1 ||
			info.Keys["kv"] != 1 || info.Term != term || info.Index < 2 || time.Since(info.Created) > time.Minute {
			t.Errorf("it says %+v", info)
		}
		for i := range c.stores {
			c.isolate(i)
		}
		time.Sleep(3 * time.Second)
		if _, err := c.stores[l].SaveSnapshot(t.Context(), io.Discard, false); !errors.Is(err, registry.ErrNoLeader) {
			t.Errorf("without a leader: %v, want ErrNoLeader", err)
		}
		if _, err := c.stores[l].SaveSnapshot(t.Context(), io.Discard, true); err != nil {
			t.Errorf("as it is, without a leader: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := c.stores[l].SaveSnapshot(ctx, writerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil }), true); !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestRestore(t *testing.T) {
	t.Parallel()
	for _, through := range []string{"leader", "follower"} {
		t.Run(through, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 3, nil)
				l := c.leader()
				at := l
				if through == "follower" {
					at = (l + 1) % 3
				}
				lead := c.stores[l]
				lease := grant(t, lead, time.Minute, "leased")
				mustPut(t, lead, "k", "old")
				large(t, lead)
				b, info := save(t, lead)
				mustPut(t, lead, "k", "new")
				mustPut(t, lead, "later", "v")
				other := grant(t, lead, time.Minute, "leased later")
				time.Sleep(30 * time.Second)
				var watchers []registry.Watcher
				for _, s := range c.stores {
					w, err := s.Watch(t.Context(), registry.WatchRequest{KeyRange: registry.All()})
					if err != nil {
						t.Fatal(err)
					}
					defer w.Close()
					watchers = append(watchers, w)
				}
				before := lead.machine.View().Revisions()

				ctx := registry.WithCaller(t.Context(), registry.Caller{Identity: "ops", Reason: registry.ReasonOperator})
				got, err := c.stores[at].RestoreSnapshot(ctx, iotest.HalfReader(bytes.NewReader(b)))
				if err != nil || fmt.Sprint(got) != fmt.Sprint(info) {
					t.Fatalf("restored %+v (%v), want %+v", got, err, info)
				}
				// Who restored sees it there at once, also locally.
				if kv, _ := c.stores[at].machine.View().Get(0, "k"); string(kv.Value) != "old" {
					t.Errorf("k is %q where it was restored", kv.Value)
				}
				wantValue(t, c.stores[(at+1)%3], "k", "old")
				wantGone(t, c.stores[(at+2)%3], "later")
				after := lead.machine.View().Revisions()
				for s := range after {
					if after[s] <= max(before[s], info.Revisions[s])+1 {
						t.Errorf("space %d was at %d, the snapshot's is %d, and it is at %d now", s, before[s], info.Revisions[s], after[s])
					}
				}
				var last registry.Commit
				err = lead.machine.View().Commits(0, after[0], after[0], func(c registry.Commit) bool { last = c; return true })
				if err != nil || last.Origin.Who != "ops" || last.Origin.Why != registry.ReasonOperator || time.Since(last.Origin.When) > time.Minute {
					t.Errorf("the restore's commit is %+v (%v)", last, err)
				}
				for i, w := range watchers {
					if got, err := w.Next(t.Context()); !errors.Is(err, registry.ErrWatchReset) {
						t.Errorf("watcher of server %d: %+v, %v, want ErrWatchReset", i, got, err)
					}
					_, err := c.stores[i].Watch(t.Context(), registry.WatchRequest{KeyRange: registry.All(), StartRevision: before[0] + 1})
					if !errors.Is(err, registry.ErrCompacted) {
						t.Errorf("server %d, a watch that goes on from before: %v, want ErrCompacted", i, err)
					}
				}
				// The lease has its whole time, though half of it had passed in what was saved, and in
				// what it was restored over.
				if left, err := lead.Lease(t.Context(), lease, true); err != nil || left.Remaining < 55*time.Second || len(left.Keys) != 1 {
					t.Errorf("the lease: %+v, %v", left, err)
				}
				if _, err := lead.KeepAlive(t.Context(), other); !errors.Is(err, registry.ErrLeaseNotFound) {
					t.Errorf("a lease that the snapshot does not have: %v", err)
				}
				if rev := mustPut(t, c.stores[at], "k", "newer"); rev != after[0]+1 {
					t.Errorf("the next revision is %d, want %d", rev, after[0]+1)
				}
				c.same("restored")
				c.noSpools()

				for i := range c.stores {
					c.stop(i)
				}
				for i := range c.stores {
					c.start(i)
				}
				c.same("restarted")
				s := c.stores[c.leader()]
				wantValue(t, s, "k", "newer")
				if lived := untilGone(t, s, "leased"); lived < 55*time.Second || lived > 62*time.Second {
					t.Errorf("the lease lived for %v after a restart, want a minute", lived)
				}
			})
		})
	}
}

// TestRestoreOfOneServer is of the log as it is on disk, too: with each kind of it.
func TestRestoreOfOneServer(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{LogWAL, LogBoltDB} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 1, func(cfg *Config) { cfg.LogStore = kind })
				s := c.stores[c.leader()]
				mustPut(t, s, "k", "old")
				large(t, s)
				b, _ := save(t, s)
				mustPut(t, s, "k", "new")
				for range 3 {
					if err := restore(s, b); err != nil {
						t.Fatal(err)
					}
					hash := s.machine.View().Hash()
					c.stop(0)
					c.start(0)
					s = c.stores[c.leader()]
					wantValue(t, s, "k", "old")
					if s.machine.View().Hash() != hash {
						t.Error("it is another state after a restart")
					}
				}
			})
		})
	}
}

func TestRestoreIntoAnotherCluster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		from, to := newCluster(t, 1, nil), newCluster(t, 3, nil)
		s := from.stores[from.leader()]
		for i := range 50 {
			mustPut(t, s, "k", fmt.Sprint(i))
		}
		b, info := save(t, s)
		d := to.stores[to.leader()]
		mustPut(t, d, "other", "v")
		if err := restore(d, b); err != nil {
			t.Fatal(err)
		}
		wantValue(t, d, "k", "49")
		wantGone(t, d, "other")
		if rev := d.machine.View().Revision(0); rev <= info.Revisions[0] {
			t.Errorf("it is at revision %d, the snapshot at %d", rev, info.Revisions[0])
		}
		to.same("restored")
	})
}

// Writers on every server see revisions rise, and what they are told of after the restore is
// there after it.
func TestRestoreWhileWritesGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		large(t, c.stores[l])
		b, _ := save(t, c.stores[l])
		var restored atomic.Bool
		var wg sync.WaitGroup
		stop := make(chan struct{})
		acked := make([][]string, len(c.stores))
		for i, s := range c.stores {
			wg.Go(func() {
				last := int64(0)
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					case <-time.After(5 * time.Millisecond):
					}
					after := restored.Load()
					key := fmt.Sprintf("writer/%d/%d", i, n)
					res, err := registry.Put(context.Background(), s, registry.PutRequest{Key: key})
					if err != nil {
						t.Errorf("put: %v", err)
						return
					}
					if res.Revision <= last {
						t.Errorf("revision %d follows %d", res.Revision, last)
					}
					last = res.Revision
					if after {
						acked[i] = append(acked[i], key)
					}
				}
			})
		}
		time.Sleep(time.Second)
		for i, s := range c.stores {
			if err := restore(s, b); err != nil {
				t.Errorf("through server %d: %v", i, err)
			}
		}
		restored.Store(true)
		time.Sleep(time.Second)
		close(stop)
		wg.Wait()
		c.same("restored")
		for i := range acked {
			if len(acked[i]) < 10 {
				t.Errorf("writer %d wrote only %d times", i, len(acked[i]))
			}
			for _, key := range acked[i] {
				if _, ok := c.stores[i].machine.View().Get(0, key); !ok {
					t.Errorf("%s was acknowledged after the restore, and is gone", key)
				}
			}
		}
		// Nothing from before it: the writers' first keys.
		for i := range c.stores {
			wantGone(t, c.stores[l], fmt.Sprintf("writer/%d/0", i))
		}
	})
}

// A lease that was about to end when the store was restored has all of its time after it;
// so has one whose end was decided on already.
func TestRestoreOfLeasesThatEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		s := c.stores[c.leader()]
		const ttl = 10 * time.Second
		for i := range 20 {
			grant(t, s, ttl, fmt.Sprint("leased/", i))
			time.Sleep(50 * time.Millisecond)
		}
		b, info := save(t, s)
		for round := range 3 {
			// Some have ended, some are just ending, some would soon.
			time.Sleep(ttl - 700*time.Millisecond)
			if err := restore(s, b); err != nil {
				t.Fatal(err)
			}
			at := time.Now()
			for time.Since(at) < ttl-time.Second {
				if n := count(t, s, "leased/"); n != info.Keys["kv"] {
					t.Fatalf("round %d: %d keys are there %v after the restore, want %d", round, n, time.Since(at), info.Keys["kv"])
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
		time.Sleep(ttl + 2*time.Second)
		if n := count(t, s, "leased/"); n != 0 {
			t.Errorf("%d leases live for ever", n)
		}
	})
}

// TestRestoreOverTCP is over real sockets, and in pieces of the usual size.
func TestRestoreOverTCP(t *testing.T) {
	t.Parallel()
	join := "127.0.0.1:1" // nobody
	var stores []*Store
	for i := range 3 {
		cfg := testConfig(t)
		cfg.NodeName = fmt.Sprintf("node-%d", i)
		cfg.BootstrapExpect, cfg.Join = 3, []string{join}
		s := openUnready(t, cfg)
		stores = append(stores, s)
		join = stores[0].PeerAddress()
	}
	for _, s := range stores {
		waitReady(t, s)
	}
	mustPut(t, stores[0], "k", "old")
	for i := range 4 {
		mustPut(t, stores[0], fmt.Sprint("large", i), strings.Repeat("v", 300<<10))
	}
	b, _ := save(t, stores[0])
	for i, s := range stores {
		mustPut(t, s, "k", "new")
		if err := restore(s, b); err != nil {
			t.Fatalf("through server %d: %v", i, err)
		}
		for _, o := range stores {
			wantValue(t, o, "k", "old")
		}
		if _, err := s.RestoreSnapshot(t.Context(), strings.NewReader("nothing of the kind")); !errors.Is(err, registry.ErrCorrupt) {
			t.Errorf("through server %d: %v, want ErrCorrupt", i, err)
		}
	}
}

func openUnready(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, s) })
	return s
}
