package raftstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

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
	left, err := filepath.Glob(filepath.Join(c.base, "*", spoolPattern))
	if err != nil || len(left) > 0 {
		c.t.Errorf("%v is left (%v)", left, err)
	}
}

func TestSaveSnapshot(t *testing.T) {
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

// restoreCounter counts entries of restores as they are appended.
type restoreCounter struct {
	raft.LogStore
	seen func(e restoreEntry)
}

func (r *restoreCounter) StoreLogs(logs []*raft.Log) error {
	err := r.LogStore.StoreLogs(logs)
	for _, l := range logs {
		if l.Type == raft.LogCommand && isRestore(l.Data) {
			if e, err := decodeRestoreEntry(l.Data); err == nil {
				r.seen(e)
			}
		}
	}
	return err
}

func (r *restoreCounter) StoreLog(l *raft.Log) error { return r.StoreLogs([]*raft.Log{l}) }

func (r *restoreCounter) IsMonotonic() bool {
	m, ok := r.LogStore.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

// TestLeaderLostInARestore cuts the leader off when it has the n-th entry of a restore in its own
// log. Whatever then becomes of the restore, it becomes of it everywhere, and what was
// answered is so.
func TestLeaderLostInARestore(t *testing.T) {
	for _, n := range []int{1, 3, 5, 6} { // of five pieces and an end
		for _, through := range []string{"leader", "follower"} {
			t.Run(fmt.Sprintf("%s/%d", through, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := &cluster{}
					var armed atomic.Int32 // 1 + the leader
					var left atomic.Int32
					c.logOf = func(i int, l raft.LogStore) raft.LogStore {
						return &restoreCounter{l, func(restoreEntry) {
							if armed.Load() == int32(i+1) && left.Add(-1) == 0 {
								c.isolate(i)
							}
						}}
					}
					c.init(t, 3, nil)
					old := c.leader()
					at := old
					if through == "follower" {
						at = (old + 1) % 3
					}
					mustPut(t, c.stores[old], "k", "archive")
					large(t, c.stores[old])
					b, _ := save(t, c.stores[old])
					mustPut(t, c.stores[old], "k", "live")
					left.Store(int32(n))
					armed.Store(int32(old + 1))

					err := restore(c.stores[at], b)
					if left.Load() > 0 {
						t.Fatal("the restore has fewer entries than that")
					}
					now := c.leader(old)
					value, _ := get(t, c.stores[now], "k")
					switch {
					case err == nil && value != "archive":
						t.Errorf("restored, and k is %q", value)
					case withoutEffect(err) && value != "live":
						t.Errorf("%v, and k is %q", err, value)
					case err != nil && !withoutEffect(err) && !errors.Is(err, registry.ErrTimeout):
						t.Errorf("unexpected: %v", err)
					}
					mustPut(t, c.stores[now], "after", "v")
					c.heal(old)
					c.same("the old leader is back")
					wantValue(t, c.stores[c.leader()], "after", "v")
					wantValue(t, c.stores[c.leader()], "k", value)
					// It is over: a server takes snapshots, and restores.
					for i, s := range c.stores {
						if err := s.raft.Snapshot().Error(); err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
							t.Errorf("snapshot of server %d: %v", i, err)
						}
					}
					c.stop(old)
					if err := restore(c.stores[c.leader()], b); err != nil {
						t.Errorf("again: %v", err)
					}
					c.start(old)
					c.same("restored again")
					wantValue(t, c.stores[c.leader()], "k", "archive")
					c.noSpools()
				})
			})
		}
	}
}

// TestFollowerDownDuringARestore has it catch up by the log, or by a snapshot.
func TestFollowerDownDuringARestore(t *testing.T) {
	for _, by := range []string{"log", "snapshot"} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 3, func(cfg *Config) { cfg.TrailingEntries = 1 })
				l := c.leader()
				down := (l + 1) % 3
				mustPut(t, c.stores[l], "k", "archive")
				large(t, c.stores[l])
				b, _ := save(t, c.stores[l])
				mustPut(t, c.stores[l], "k", "live")
				settle()
				c.stop(down)
				if err := restore(c.stores[l], b); err != nil {
					t.Fatal(err)
				}
				if by == "snapshot" {
					for i := range 3 {
						mustPut(t, c.stores[l], fmt.Sprint("more", i), strings.Repeat("v", 300<<10))
						takeSnapshot(t, c.stores[l])
					}
				}
				c.start(down)
				c.same("it is back")
				if kv, _ := c.stores[down].machine.View().Get(0, "k"); string(kv.Value) != "archive" {
					t.Errorf("k is %q", kv.Value)
				}
			})
		})
	}
}

// TestRestoreOfWhatIsNone has nothing changed, and nothing in the log, wherever it comes in.
func TestRestoreOfWhatIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		var written atomic.Int32
		c.log = func(l raft.LogStore) raft.LogStore {
			return &restoreCounter{l, func(restoreEntry) { written.Add(1) }}
		}
		c.init(t, 3, nil)
		l := c.leader()
		mustPut(t, c.stores[l], "k", "v")
		whole, _ := save(t, c.stores[l])
		damaged := bytes.Clone(whole)
		damaged[len(damaged)/2] ^= 1
		broken := errors.New("disk on fire")
		for _, bad := range []struct {
			name string
			b    []byte
			end  error
			is   error
		}{
			{"nothing", nil, io.EOF, registry.ErrCorrupt},
			{"something else", []byte("hello"), io.EOF, registry.ErrCorrupt},
			{"damaged", damaged, io.EOF, registry.ErrCorrupt},
			{"cut short", whole[:len(whole)-1], io.EOF, registry.ErrCorrupt},
			{"and more", append(bytes.Clone(whole), 0), io.EOF, registry.ErrCorrupt},
			{"not to be read", whole, broken, broken},
		} {
			for i, s := range c.stores {
				if _, err := s.RestoreSnapshot(t.Context(), io.MultiReader(bytes.NewReader(bad.b), iotest.ErrReader(bad.end))); !errors.Is(err, bad.is) {
					t.Errorf("%s, through server %d: %v, want %v", bad.name, i, err, bad.is)
				}
			}
		}
		if n := written.Load(); n > 0 {
			t.Errorf("%d entries were written", n)
		}
		wantValue(t, c.stores[l], "k", "v")
		c.noSpools()
	})
}

// A lease that was about to end when the store was restored has all of its time after it;
// so has one whose end was decided on already.
func TestRestoreOfLeasesThatEnd(t *testing.T) {
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

// TestRestoreGivenUp has the caller go away while the archive goes into the log.
func TestRestoreGivenUp(t *testing.T) {
	for _, through := range []string{"leader", "follower"} {
		t.Run(through, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &cluster{}
				ctx, cancel := context.WithCancel(t.Context())
				c.log = func(l raft.LogStore) raft.LogStore {
					return &restoreCounter{l, func(e restoreEntry) {
						if e.kind == restorePiece && e.offset > 0 {
							cancel()
							time.Sleep(10 * time.Millisecond)
						}
					}}
				}
				c.init(t, 3, nil)
				l := c.leader()
				at := l
				if through == "follower" {
					at = (l + 1) % 3
				}
				mustPut(t, c.stores[l], "k", "archive")
				large(t, c.stores[l])
				b, _ := save(t, c.stores[l])
				mustPut(t, c.stores[l], "k", "live")
				_, err := c.stores[at].RestoreSnapshot(ctx, bytes.NewReader(b))
				if !errors.Is(err, context.Canceled) || through == "leader" && !errors.Is(err, registry.ErrUnavailable) {
					t.Errorf("given up: %v", err)
				}
				settle()
				wantValue(t, c.stores[l], "k", "live")
				for i, s := range c.stores {
					if err := s.raft.Snapshot().Error(); err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
						t.Errorf("snapshot of server %d: %v", i, err)
					}
				}
				c.same("given up")
				c.noSpools()
			})
		})
	}
}

func TestRestoreWithoutALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		mustPut(t, c.stores[l], "k", "v")
		b, _ := save(t, c.stores[l])
		for i := range c.stores {
			c.isolate(i)
		}
		start := time.Now()
		for i, s := range c.stores {
			if err := restore(s, b); !withoutEffect(err) {
				t.Errorf("server %d: %v", i, err)
			}
		}
		if took := time.Since(start); took > 40*time.Second {
			t.Errorf("that took %v", took)
		}
		for i := range c.stores {
			c.heal(i)
		}
		c.same("healed")
		c.noSpools()
	})
}

func TestRestoreOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		c := &cluster{space: func(string) (int64, error) {
			if full.Load() {
				return 0, nil
			}
			return 1 << 40, nil
		}}
		c.init(t, 3, nil)
		l := c.leader()
		mustPut(t, c.stores[l], "k", "v")
		b, _ := save(t, c.stores[l])
		full.Store(true)
		time.Sleep(time.Second)
		for i, s := range c.stores {
			if err := restore(s, b); !errors.Is(err, registry.ErrDiskFull) {
				t.Errorf("server %d: %v, want ErrDiskFull", i, err)
			}
		}
		full.Store(false)
		time.Sleep(time.Second)
		if err := restore(c.stores[l], b); err != nil {
			t.Errorf("with space again: %v", err)
		}
		c.noSpools()
	})
}

func TestSpoolsOfACrashAreRemoved(t *testing.T) {
	cfg := testConfig(t)
	mustClose(t, openReady(t, cfg))
	left := filepath.Join(cfg.DataDir, "restore-123.tmp")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	openReady(t, cfg)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
