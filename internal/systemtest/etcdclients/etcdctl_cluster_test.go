//go:build e2e

package etcdclients

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"herald/internal/systemtest/process"
)

// TestEtcdctlCluster types what operators type at three servers.
func TestEtcdctlCluster(t *testing.T) {
	t.Parallel()
	trio := three(t)
	all := strings.Join(trio.Etcd[:], ",")
	leader := leaderOf(t, trio)
	a, b := process.Others(leader)
	process.Eventually(t, 20*time.Second, "all listed", func() error { // a moment after they are ready
		if out := etcdctlPrints(t, all, "member", "list"); strings.Count(out, "http://127.0.0.1:") != 6 {
			return fmt.Errorf("listed are\n%s", out)
		}
		return nil
	})
	typeAt(t, all, []typed{
		{"put k v1", "", "OK\n"},
		{"member list", "", `/(?m)^([0-9a-f]+, started, herald-\d, http://127\.0\.0\.1:\d+, http://127\.0\.0\.1:\d+, false\n){3}$/`},
		{"endpoint health", "", `/(?s)^(127\.0\.0\.1:\d+ is healthy: successfully committed proposal: took = \S+\n){3}$/`},
		{"endpoint status", "", `/^(127\.0\.0\.1:\d+, [0-9a-f]+, ` + regexp.QuoteMeta(version(t)) + `, \S+ k?B, (true|false), false, \d+, \d+, \d+, \n){3}$/`},
		{"endpoint hashkv --rev 2", "", `/^(127\.0\.0\.1:\d+, \d+\n){3}$/`},
		{"endpoint status --cluster --write-out json", "", `/"revision":2,.*"revision":2,.*"revision":2,/`},
		{"alarm list", "", ""},
		{"alarm disarm", "", ""},
		{"defrag", "", `/^(Finished defragmenting etcd member\[127\.0\.0\.1:\d+\]\n){3}$/`},
		{"version", "", "etcdctl version: 3.4.23\nAPI version: 3.4\n"},
	})
	hashes := map[string]bool{}
	for _, h := range regexp.MustCompile(`(?m), (\d+)$`).FindAllStringSubmatch(etcdctlPrints(t, all, "endpoint", "hashkv", "--rev", "2"), -1) {
		hashes[h[1]] = true
	}
	if len(hashes) != 1 {
		t.Errorf("three servers have the hashes %v", hashes)
	}

	ids := map[string]string{}
	for line := range strings.Lines(etcdctlPrints(t, all, "member", "list")) {
		f := strings.Split(line, ", ")
		ids[f[2]] = f[0]
	}
	typeAt(t, trio.Etcd[a], []typed{{"move-leader " + ids[process.Name(b)], "", "Error: no leader endpoint given at [" + trio.Etcd[a] + "]"}})
	typeAt(t, all, []typed{{"move-leader " + ids[process.Name(b)], "", `/^Leadership transferred from ` + ids[process.Name(leader)] + ` to ` + ids[process.Name(b)] + `\n$/`}})
	if now := leaderOf(t, trio); now != b {
		t.Errorf("%s leads, want %s", process.Name(now), process.Name(b))
	}
	typeAt(t, trio.Etcd[a], []typed{{"put k v2", "", "OK\n"}, {"get --print-value-only k", "", "v2\n"}})
}

// TestEtcdctlSnapshot saves with etcdctl, and looks at it and restores it with herald.
func TestEtcdctlSnapshot(t *testing.T) {
	t.Parallel()
	heraldAlone(t, "herald snapshot restore")
	p := process.Dev(t)
	c := connect(t, p.Etcd)
	put(t, c, "k", "saved")
	file := filepath.Join(t.TempDir(), "snapshot.db")
	if out := etcdctlPrints(t, p.Etcd, "snapshot", "save", file); !strings.Contains(out, "Snapshot saved at "+file) {
		t.Errorf("snapshot save: %s", out)
	}
	before := put(t, c, "k", "later")
	put(t, c, "new", "later")
	if out, err := process.Command("snapshot", "inspect", file).CombinedOutput(); err != nil {
		t.Errorf("herald snapshot inspect: %v\n%s", err, out)
	}
	p.Herald("snapshot", "restore", "--yes", file)
	if value, _ := get(t, c, "k"); value != "saved" {
		t.Errorf("restored: %q", value)
	}
	if _, mod := get(t, c, "new"); mod != 0 {
		t.Error("what came after the snapshot is there after the restore")
	}
	if next := put(t, c, "k", "again"); next <= before+1 {
		t.Errorf("the revision goes back from %d to %d", before+1, next)
	}
}

// TestEtcdctlMakeMirror keeps one Herald as another is.
func TestEtcdctlMakeMirror(t *testing.T) {
	t.Parallel()
	from, to := one(t), one(t)
	source, copied := connect(t, from.Etcd), connect(t, to.Etcd)
	put(t, source, "k/old", "1")
	put(t, source, "other", "1")
	talk(t, from.Etcd, "make-mirror", "--prefix", "k/", "--dest-prefix", "copy/", to.Etcd)
	expect := func(want string) {
		t.Helper()
		process.Eventually(t, 30*time.Second, "the copy", func() error {
			r, err := copied.Get(soon(t), "", clientv3.WithFromKey())
			if err != nil {
				return err
			}
			var got strings.Builder
			for _, kv := range r.Kvs {
				fmt.Fprintf(&got, "%s=%s ", kv.Key, kv.Value)
			}
			if got.String() != want {
				return fmt.Errorf("there is %q, want %q", &got, want)
			}
			return nil
		})
	}
	expect("copy/old=1 ")
	put(t, source, "k/new", "2")
	put(t, source, "k/old", "3")
	expect("copy/new=2 copy/old=3 ")
	if _, err := source.Delete(soon(t), "k/new"); err != nil {
		t.Fatal(err)
	}
	expect("copy/old=3 ")
}

// TestEtcdctlCheckPerf runs etcdctl's own load to its end. What it thinks of the throughput is
// the machine's doing; that every put was answered, it says too.
func TestEtcdctlCheckPerf(t *testing.T) {
	t.Parallel()
	p := one(t)
	cmd := etcdctl(t.Context(), p.Etcd, "--command-timeout", "100s", "check", "perf", "--load", "s")
	out, _ := cmd.CombinedOutput()
	for _, want := range []string{`(PASS|FAIL): Throughput`, `(PASS|FAIL): Slowest request|Slowest request took`, `(PASS|FAIL): Stddev|Stddev`} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("check perf prints no %q:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "FAIL: too many errors") {
		t.Errorf("check perf:\n%s", out)
	}
	// It takes away what it has put.
	if r, err := connect(t, p.Etcd).Get(soon(t), "", clientv3.WithFromKey(), clientv3.WithCountOnly()); err != nil || r.Count != 0 || r.Header.Revision < 1000 {
		t.Errorf("left of it: %v, %v", r, err)
	}
}
