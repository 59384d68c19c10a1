package raftstore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"herald/registry"
)

func takeSnapshot(t *testing.T, s *Store) {
	t.Helper()
	// A new leader may still be recording its address, and raft takes no snapshot before
	// the state machine has seen that.
	if err := s.raft.Barrier(0).Error(); err != nil {
		t.Fatal(err)
	}
	if err := s.raft.Snapshot().Error(); err != nil {
		t.Fatalf("snapshot: %v", err)
	}
}

// withSnapshots makes a directory with n snapshots and writes before, between and
// after them, and compacts the log as far as it will go.
func withSnapshots(t *testing.T, kind string, n int) Config {
	t.Helper()
	cfg := testConfig(t)
	cfg.LogStore = kind
	cfg.TrailingEntries = 1
	s := openReady(t, cfg)
	for i := range n {
		for j := range 10 {
			mustPut(t, s, fmt.Sprintf("before-%d-%d", i, j), "v")
		}
		takeSnapshot(t, s)
	}
	mustPut(t, s, "after", "v")
	mustClose(t, s)
	return cfg
}

func wantAll(t *testing.T, s *Store, snapshots int) {
	t.Helper()
	if got := count(t, s, "before-"); got != int64(10*snapshots) {
		t.Errorf("%d keys, want %d", got, 10*snapshots)
	}
	wantValue(t, s, "after", "v")
	if got, want := s.Status().Revisions[registry.SpaceKV], int64(10*snapshots+2); got != want {
		t.Errorf("revision %d, want %d", got, want)
	}
}

// snapshotFiles returns the directories of the snapshots, newest first.
func snapshotFilesOf(t *testing.T, cfg Config) []snapshotFile {
	t.Helper()
	files, _, err := listSnapshots(&dataDir{path: cfg.DataDir})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var corruptions = map[string]func(t *testing.T, f snapshotFile){
	"state": func(t *testing.T, f snapshotFile) { flip(t, filepath.Join(f.path, snapshotState)) },
	"state cut short": func(t *testing.T, f snapshotFile) {
		if err := os.Truncate(filepath.Join(f.path, snapshotState), 10); err != nil {
			t.Fatal(err)
		}
	},
	"state missing": func(t *testing.T, f snapshotFile) {
		if err := os.Remove(filepath.Join(f.path, snapshotState)); err != nil {
			t.Fatal(err)
		}
	},
	"metadata": func(t *testing.T, f snapshotFile) {
		if err := os.WriteFile(filepath.Join(f.path, snapshotMeta), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	},
	"metadata of another index": func(t *testing.T, f snapshotFile) {
		rewrite(t, filepath.Join(f.path, snapshotMeta), fmt.Sprintf(`"Index":%d`, f.index), `"Index":900`)
	},
	"metadata missing": func(t *testing.T, f snapshotFile) {
		if err := os.Remove(filepath.Join(f.path, snapshotMeta)); err != nil {
			t.Fatal(err)
		}
	},
}

// flip changes one bit in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	b := []byte(readFile(t, path))
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCorruptNewestSnapshotFallsBack(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{LogWAL, LogBoltDB} {
		for name, corrupt := range corruptions {
			for _, n := range []int{1, 2, 3} {
				t.Run(fmt.Sprintf("%s/%s/%d snapshots", kind, name, n), func(t *testing.T) {
					t.Parallel()
					cfg := withSnapshots(t, kind, n)
					files := snapshotFilesOf(t, cfg)
					if want := min(n, keepSnapshots); len(files) != want {
						t.Fatalf("%d snapshots kept, want %d", len(files), want)
					}
					corrupt(t, files[0])

					s := openReady(t, cfg)
					wantAll(t, s, n)
					aside := filepath.Join(cfg.DataDir, raftDir, corruptDir, files[0].name)
					if _, err := os.Stat(aside); err != nil {
						t.Errorf("the corrupt snapshot is not kept for inspection: %v", err)
					}
					// And goes on as before.
					mustPut(t, s, "later", "v")
					takeSnapshot(t, s)
					mustClose(t, s)
					s = openReady(t, cfg)
					if got := count(t, s, ""); got != int64(10*n+2) {
						t.Errorf("%d keys, want %d", got, 10*n+2)
					}
				})
			}
		}
	}
}

func TestAllSnapshotsCorruptIsRefused(t *testing.T) {
	t.Parallel()
	cfg := withSnapshots(t, LogWAL, 3)
	files := snapshotFilesOf(t, cfg)
	for _, f := range files {
		flip(t, filepath.Join(f.path, snapshotState))
	}
	if err := os.MkdirAll(files[0].path+unfinished, 0o700); err != nil {
		t.Fatal(err)
	}
	snapshots := filepath.Join(cfg.DataDir, raftDir, snapshotsDir)
	wal := newestSegment(t, cfg)
	before, log := tree(t, snapshots), readFile(t, wal)

	_, err := Open(cfg)
	if !errors.Is(err, registry.ErrCorrupt) {
		t.Fatalf("Open: %v, want ErrCorrupt", err)
	}
	for _, word := range []string{files[0].path, files[1].path, "restore", "backup"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
	wantSameTree(t, before, tree(t, snapshots))
	if readFile(t, wal) != log {
		t.Error("the log was changed")
	}
}

// A snapshot that a newer version wrote must not be passed over for an older one.
func TestNewerSnapshotFormatIsRefused(t *testing.T) {
	t.Parallel()
	cfg := withSnapshots(t, LogWAL, 2)
	d, err := openDataDir(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	store, err := raft.NewFileSnapshotStoreWithLogger(d.raft(), keepSnapshots, newRaftLog(cfg.Log, "test"))
	if err != nil {
		t.Fatal(err)
	}
	metas, err := store.List()
	if err != nil {
		t.Fatal(err)
	}
	_, trans := raft.NewInmemTransport("")
	sink, err := store.Create(1, metas[0].Index, metas[0].Term+1, metas[0].Configuration, metas[0].ConfigurationIndex, trans)
	if err != nil {
		t.Fatal(err)
	}
	// The header of a snapshot of the next format, as mvcc says it will always be.
	h := binary.LittleEndian.AppendUint32([]byte("heraldkv"), 2)
	h = binary.LittleEndian.AppendUint32(h, crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli)))
	if _, err := sink.Write(append(h, "whatever follows"...)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sink.Close(), d.close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg); !errors.Is(err, registry.ErrFormat) || !strings.Contains(err.Error(), "upgrade herald") {
		t.Fatalf("Open: %v, want ErrFormat and what to do", err)
	}
}

// A snapshot that is what was written, but is none: its checksum holds.
func TestSnapshotThatDoesNotDecodeIsRefused(t *testing.T) {
	t.Parallel()
	cfg := withSnapshots(t, LogWAL, 1)
	f := snapshotFilesOf(t, cfg)[0]
	state := []byte("not a snapshot")
	if err := os.WriteFile(filepath.Join(f.path, snapshotState), state, 0o600); err != nil {
		t.Fatal(err)
	}
	var meta map[string]any
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(f.path, snapshotMeta))), &meta); err != nil {
		t.Fatal(err)
	}
	sum := crc64.New(crc64.MakeTable(crc64.ECMA))
	sum.Write(state)
	meta["Size"], meta["CRC"] = len(state), sum.Sum(nil)
	b, err := json.Marshal(meta)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.path, snapshotMeta), b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(cfg)
	if !errors.Is(err, registry.ErrCorrupt) || !strings.Contains(err.Error(), "restore "+cfg.DataDir+" from a backup") {
		t.Errorf("Open: %v, want ErrCorrupt and what to do", err)
	}
}

// The log is cut behind the older of two snapshots, not behind the newer.
func TestLogReachesBackToOlderSnapshot(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.TrailingEntries = 1
	s := openReady(t, cfg)
	first := func() uint64 {
		i, err := s.log.FirstIndex()
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	var taken []uint64
	for range 4 {
		fill(t, s, "k", 50)
		takeSnapshot(t, s)
		metas, err := s.snapshots.List()
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, metas[0].Index)
		want := uint64(1)
		if n := len(taken); n >= 2 {
			want = taken[n-2] + 1
		}
		if got := first(); got != want {
			t.Errorf("after %d snapshots, at %v: the log begins at %d, want %d", len(taken), taken, got, want)
		}
	}
}

func TestUnfinishedSnapshotsAreRemoved(t *testing.T) {
	t.Parallel()
	cfg := withSnapshots(t, LogWAL, 1)
	left := filepath.Join(cfg.DataDir, raftDir, snapshotsDir, "2-5-1700000000000"+unfinished)
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	s := openReady(t, cfg)
	wantAll(t, s, 1)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
}

// What is damaged elsewhere is named, with what to do.
func TestDamagedStoresAreNamed(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{LogWAL, LogBoltDB} {
		for _, file := range map[string][]string{LogWAL: {stableFile, walDir + "/wal-meta.db"}, LogBoltDB: {stableFile, logFile}}[kind] {
			t.Run(kind+"/"+file, func(t *testing.T) {
				cfg := withSnapshots(t, kind, 1)
				path := filepath.Join(cfg.DataDir, raftDir, file)
				if err := os.WriteFile(path, []byte(strings.Repeat("garbage ", 4096)), 0o600); err != nil {
					t.Fatal(err)
				}
				_, err := Open(cfg)
				if !errors.Is(err, registry.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Dir(path)) || !strings.Contains(err.Error(), "backup") {
					t.Errorf("Open: %v; want ErrCorrupt, the path and what to do", err)
				}
			})
		}
	}
}

// Without its votes a server might vote twice in one term.
func TestLostVotesAreRefused(t *testing.T) {
	t.Parallel()
	cfg := withSnapshots(t, LogWAL, 1)
	path := filepath.Join(cfg.DataDir, raftDir, stableFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg); !errors.Is(err, registry.ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: %v; want ErrCorrupt and the path", err)
	}
}
