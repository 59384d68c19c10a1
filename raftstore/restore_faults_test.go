package raftstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
)

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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

// What a disk damages after it was found sound does not get into the log, where it would stop
// every server for good.
func TestRestoreOfWhatTheDiskDamaged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		mustPut(t, c.stores[l], "k", "archive")
		large(t, c.stores[l])
		b, _ := save(t, c.stores[l])
		mustPut(t, c.stores[l], "k", "live")
		for i, s := range c.stores {
			sp, err := s.spool(t.Context(), bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			at := int64(len(b) / 2)
			if _, err := sp.file.WriteAt([]byte{b[at] ^ 1}, at); err != nil {
				t.Fatal(err)
			}
			if err := s.restoreWith(t.Context(), s.leader(s.known.Load()), sp, registry.Origin{}); !errors.Is(err, registry.ErrCorrupt) {
				t.Errorf("through server %d: %v, want ErrCorrupt", i, err)
			}
			sp.close()
		}
		c.same("damaged")
		wantValue(t, c.stores[l], "k", "live")
		if err := restore(c.stores[l], b); err != nil {
			t.Errorf("the sound one after it: %v", err)
		}
		wantValue(t, c.stores[l], "k", "archive")
	})
}

// TestRestoreGivenUp has the caller go away while the archive goes into the log.
func TestRestoreGivenUp(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
	cfg := testConfig(t)
	mustClose(t, openReady(t, cfg))
	left := filepath.Join(cfg.DataDir, tempDir, "restore-123")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openReady(t, cfg)
	if files, err := os.ReadDir(s.TempDir()); err != nil || len(files) > 0 {
		t.Errorf("%s: %v, %v, want it to be empty", s.TempDir(), files, err)
	}
}
