package raftstore

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"herald/registry"
)

func TestDataDirRefused(t *testing.T) {
	t.Parallel()
	type refused struct {
		name  string
		store string // "" for the usual
		// spoil changes what would open the directory, or the directory itself.
		spoil func(t *testing.T, cfg *Config)
		want  error
		says  []string
	}
	cases := []refused{
		{
			name:  "of another node",
			spoil: func(_ *testing.T, cfg *Config) { cfg.NodeID = "somebody-else" },
			want:  registry.ErrDataDirOwner,
			says:  []string{"somebody-else", "give this node a directory of its own"},
		},
		{
			name: "of a newer format",
			spoil: func(t *testing.T, cfg *Config) {
				rewrite(t, filepath.Join(cfg.DataDir, identityFile), `"format_version": 1`, `"format_version": 2`)
			},
			want: registry.ErrFormat,
			says: []string{"format 2", "upgrade herald"},
		},
		{
			name: "of a newer format that changed another field",
			spoil: func(t *testing.T, cfg *Config) {
				file := filepath.Join(cfg.DataDir, identityFile)
				rewrite(t, file, `"format_version": 1`, `"format_version": 2`)
				rewrite(t, file, `"log_store": "wal"`, `"log_store": {"kind": "wal"}`)
			},
			want: registry.ErrFormat,
			says: []string{"format 2", "upgrade herald"},
		},
		{
			name: "with an unreadable identity",
			spoil: func(t *testing.T, cfg *Config) {
				rewrite(t, filepath.Join(cfg.DataDir, identityFile), `{`, ``)
			},
			want: registry.ErrCorrupt,
			says: []string{identityFile, "backup"},
		},
		{
			name: "without its identity",
			spoil: func(t *testing.T, cfg *Config) {
				if err := os.Remove(filepath.Join(cfg.DataDir, identityFile)); err != nil {
					t.Fatal(err)
				}
			},
			want: registry.ErrCorrupt,
			says: []string{identityFile, "missing"},
		},
		{
			name:  "with another log store",
			spoil: func(_ *testing.T, cfg *Config) { cfg.LogStore = LogBoltDB },
			want:  registry.ErrInvalid,
			says:  []string{LogWAL, LogBoltDB},
		},
	}
	for kind, files := range map[string][]string{
		LogWAL:    {raftDir, raftDir + "/" + stableFile, raftDir + "/" + walDir},
		LogBoltDB: {raftDir, raftDir + "/" + stableFile, raftDir + "/" + logFile},
	} {
		for _, file := range files {
			cases = append(cases, refused{
				name:  kind + " without " + file,
				store: kind,
				spoil: func(t *testing.T, cfg *Config) {
					if err := os.RemoveAll(filepath.Join(cfg.DataDir, file)); err != nil {
						t.Fatal(err)
					}
				},
				want: registry.ErrCorrupt,
				says: []string{filepath.FromSlash(file), "missing", "not mounted"},
			})
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := testConfig(t)
			if c.store != "" {
				cfg.LogStore = c.store
			}
			s := openReady(t, cfg)
			mustPut(t, s, "k", "v")
			mustClose(t, s)
			// A directory that was never locked by this version has no lock file, and
			// must not gain one.
			if err := os.Remove(filepath.Join(cfg.DataDir, lockFile)); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, &cfg)
			before := tree(t, cfg.DataDir)

			_, err := Open(cfg)
			if !errors.Is(err, c.want) {
				t.Fatalf("Open: %v, want %v", err, c.want)
			}
			for _, word := range append(c.says, cfg.DataDir) {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not say %q", err, word)
				}
			}
			wantSameTree(t, before, tree(t, cfg.DataDir))
		})
	}
}

func FuzzDecodeIdentity(f *testing.F) {
	for _, seed := range []string{
		`{"format_version": 1, "node_id": "a", "cluster_id": "c", "log_store": "wal", "created": "2026-01-02T03:04:05Z"}`,
		`{"format_version": 1, "node_id": "a"}`,
		`{"format_version": 2, "node_id": ["a"]}`,
		`{"format_version": 1, "node_id": ["a"]}`,
		`{"format_version": "1"}`,
		`{"node_id": "a"}`,
		`[]`, `null`, `{`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := decodeIdentity(b)
		if err != nil {
			if !errors.Is(err, registry.ErrFormat) && !errors.Is(err, registry.ErrCorrupt) {
				t.Fatalf("%v: want ErrFormat or ErrCorrupt", err)
			}
			return
		}
		if id.Format != dirFormat || id.NodeID == "" {
			t.Fatalf("accepted %+v", id)
		}
		// What it accepts it can write, and reads back as it was.
		out, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decodeIdentity(out); err != nil || !again.Created.Equal(id.Created) || again.NodeID != id.NodeID || again.ClusterID != id.ClusterID || again.LogStore != id.LogStore {
			t.Fatalf("%+v became %+v, %v", id, again, err)
		}
	})
}

func rewrite(t *testing.T, path, old, new string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		t.Fatalf("%s does not contain %q", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDataDirLockedByAnother(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openReady(t, cfg)
	mustPut(t, s, "k", "v")
	before := readFile(t, filepath.Join(cfg.DataDir, identityFile))

	_, err := Open(cfg)
	if !errors.Is(err, registry.ErrDataDirLocked) {
		t.Fatalf("Open of a directory in use: %v, want ErrDataDirLocked", err)
	}
	if !strings.Contains(err.Error(), cfg.DataDir) {
		t.Errorf("error %q does not name the directory", err)
	}
	if after := readFile(t, filepath.Join(cfg.DataDir, identityFile)); after != before {
		t.Errorf("identity was changed")
	}
	mustPut(t, s, "k", "w")
	mustClose(t, s)
	s = openReady(t, cfg)
	wantValue(t, s, "k", "w")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDataDirIsPrivateAndKeepsItsIdentity(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openReady(t, cfg)
	first := s.Status()
	mustClose(t, s)
	for path, want := range map[string]os.FileMode{
		cfg.DataDir:                                  0o700,
		filepath.Join(cfg.DataDir, raftDir):          0o700,
		filepath.Join(cfg.DataDir, identityFile):     0o600,
		filepath.Join(cfg.DataDir, lockFile):         0o600,
		filepath.Join(cfg.DataDir, "raft/wal"):       0o700,
		filepath.Join(cfg.DataDir, "raft/stable.db"): 0o600,
		filepath.Join(cfg.DataDir, "raft/snapshots"): 0o700,
	} {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := st.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
	s = openReady(t, cfg)
	again := s.Status()
	if first.ID == "" || first.ID != again.ID || first.ClusterID == "" || first.ClusterID != again.ClusterID {
		t.Errorf("identity changed over a restart: %+v, then %+v", first, again)
	}
}

// A bootstrap that a crash interrupted between its two writes is done again.
func TestBootstrapInterrupted(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	d, err := openDataDir(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	st, err := openStores(d, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.stable.SetUint64(keyTerm, 1); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(st.close(), d.close()); err != nil {
		t.Fatal(err)
	}
	s := openReady(t, cfg)
	mustPut(t, s, "k", "v")
}

// Bootstrap must do nothing to a directory that has been part of a cluster.
func TestBootstrapOnlyOnce(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	s := openReady(t, cfg)
	mustPut(t, s, "k", "v")
	mustClose(t, s)
	s = openReady(t, cfg)
	wantValue(t, s, "k", "v")
	mustClose(t, s)
	cfg.BootstrapExpect = 0
	s = openReady(t, cfg)
	wantValue(t, s, "k", "v")
}
