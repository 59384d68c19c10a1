package raftstore

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"herald/registry"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDirVar); dir != "" {
		runChild(dir)
	}
	manyAtOnce()
	goleak.VerifyTestMain(m)
}

// manyAtOnce lets more tests run at once than there are processors: they wait for the disk.
func manyAtOnce() {
	const parallel = "test.parallel"
	flag.Parse()
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == parallel })
	if !told {
		_ = flag.Set(parallel, "8")
	}
}

// testConfig is a lone server on a directory of its own.
func testConfig(t testing.TB) Config {
	cfg := DefaultConfig()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.NodeName = "node-a"
	cfg.PeerAddress = "127.0.0.1:0"
	cfg.BootstrapExpect = 1
	cfg.SegmentBytes = 1 << 20
	cfg.Log = slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelInfo}))
	return cfg
}

// testLog logs to the test, which shows it if the test fails.
type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// openReady opens a store, closed when the test ends, and waits until it leads.
func openReady(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	waitReady(t, s)
	return s
}

func waitReady(t testing.TB, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustPut(t testing.TB, s registry.Store, key, value string) int64 {
	t.Helper()
	res, err := registry.Put(context.Background(), s, registry.PutRequest{Key: key, Value: []byte(value)})
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return res.Revision
}

// get reads a key linearizably; ok is false if it does not exist.
func get(t testing.TB, s registry.Store, key string) (value string, ok bool) {
	t.Helper()
	res, err := s.Range(context.Background(), registry.RangeRequest{KeyRange: registry.One(key)})
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if len(res.KVs) == 0 {
		return "", false
	}
	return string(res.KVs[0].Value), true
}

func wantValue(t testing.TB, s registry.Store, key, want string) {
	t.Helper()
	if got, ok := get(t, s, key); !ok || got != want {
		t.Errorf("%s = %q (exists: %v), want %q", key, got, ok, want)
	}
}

func wantGone(t testing.TB, s registry.Store, key string) {
	t.Helper()
	if got, ok := get(t, s, key); ok {
		t.Errorf("%s = %q, want it gone", key, got)
	}
}

// fill puts n keys, several writers at once.
func fill(t testing.TB, s registry.Store, prefix string, n int) {
	t.Helper()
	const writers = 32
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < n; i += writers {
				p := registry.PutRequest{Key: fmt.Sprintf("%s%06d", prefix, i), Value: []byte(strings.Repeat("v", 64))}
				if _, err := registry.Put(context.Background(), s, p); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func count(t testing.TB, s registry.Store, prefix string) int64 {
	t.Helper()
	res, err := s.Range(context.Background(), registry.RangeRequest{KeyRange: registry.Prefix(prefix), CountOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	return res.Count
}

// tree is every file under a directory with its content, and every directory.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			files[path] = "directory"
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func wantSameTree(t testing.TB, before, after map[string]string) {
	t.Helper()
	for name, b := range before {
		if a, ok := after[name]; !ok || a != b {
			t.Errorf("%s was changed or removed", name)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			t.Errorf("%s was added", name)
		}
	}
}
