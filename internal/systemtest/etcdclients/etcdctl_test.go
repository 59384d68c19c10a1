//go:build e2e

package etcdclients

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// etcdctl prepares the real one for some endpoints.
func etcdctl(ctx context.Context, endpoints string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "etcdctl", args...)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3", "ETCDCTL_ENDPOINTS="+endpoints)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// typed is a line typed at etcdctl and what it prints.
type typed struct {
	line  string
	input string
	want  string // "Error: …" is what a line that fails prints; "/…/" is a regular expression
}

// typeAt types lines at etcdctl, one after another.
func typeAt(t *testing.T, endpoints string, lines []typed) {
	t.Helper()
	for _, l := range lines {
		cmd := etcdctl(soon(t), endpoints, strings.Fields(l.line)...)
		cmd.Stdin = strings.NewReader(l.input)
		b, err := cmd.CombinedOutput()
		out := string(b)
		refused := strings.HasPrefix(l.want, "Error: ")
		if refused != (err != nil) || !prints(out, l.want, refused) {
			t.Errorf("etcdctl %s: %v\n got %q\nwant %q", l.line, err, out, l.want)
		}
	}
}

func prints(out, want string, part bool) bool {
	if pattern, ok := strings.CutPrefix(want, "/"); ok {
		return regexp.MustCompile(strings.TrimSuffix(pattern, "/")).MatchString(out)
	}
	return out == want || part && strings.Contains(out, want)
}

// print runs etcdctl and returns what it prints.
func etcdctlPrints(t *testing.T, endpoints string, args ...string) string {
	t.Helper()
	out, err := etcdctl(soon(t), endpoints, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("etcdctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// talk starts an etcdctl that goes on printing, and returns its lines. It is ended with the test.
func talk(t *testing.T, endpoints string, args ...string) (lines <-chan string) {
	t.Helper()
	return linesOf(t, etcdctl(t.Context(), endpoints, args...))
}

func TestEtcdctlKeys(t *testing.T) {
	t.Parallel()
	p := one(t)
	typeAt(t, p.Etcd, []typed{
		{"put k/a 1", "", "OK\n"},
		{"put k/b 2", "", "OK\n"},
		{"put --prev-kv k/a 3", "", "OK\nk/a\n1\n"},
		{"put --ignore-lease none v", "", "Error: etcdserver: key not found"},
		{"put --lease 1267 k v", "", "Error: etcdserver: requested lease not found"},
		{"get k/a", "", "k/a\n3\n"},
		{"get none", "", ""},
		{"get --rev 3 --prefix k/", "", "k/a\n1\nk/b\n2\n"},
		{"get --prefix --keys-only k/", "", "k/a\n\nk/b\n\n"},
		{"get --prefix --print-value-only --order DESCEND --sort-by KEY k/", "", "2\n3\n"},
		{"get --prefix --limit 1 k/", "", "k/a\n3\n"},
		{"get --from-key k/b", "", "k/b\n2\n"},
		{"get --consistency s k/b", "", "k/b\n2\n"},
		{"get --rev 99 k/a", "", "Error: etcdserver: mvcc: required revision is a future revision"},
		{"get --write-out json k/a", "", `/"raft_term":\d+},"kvs":\[{"key":"ay9h","create_revision":2,"mod_revision":4,"version":2,"value":"Mw=="}],"count":1}/`},
		{"get --write-out fields k/a", "", `/"CreateRevision" : 2\n"ModRevision" : 4\n"Version" : 2/`},
		{"del --prev-kv k/a", "", "1\nk/a\n3\n"},
		{"del k/a", "", "0\n"},
		{"del --prefix k/", "", "1\n"},

		{"txn", "mod(\"k\") = \"0\"\n\nput k v1\nget k\n\nput k v2\n\n", "SUCCESS\n\nOK\n\nk\nv1\n"},
		{"txn", "mod(\"k\") = \"0\"\n\nput k v1\n\nget k\ndel k\n\n", "FAILURE\n\nk\nv1\n\n1\n"},
		{"txn", "value(\"k\") > \"a\"\nver(\"k\") = \"1\"\n\n\n\n", "FAILURE\n"},

		{"compaction 5", "", "compacted revision 5\n"},
		{"compaction 5", "", "Error: etcdserver: mvcc: required revision has been compacted"},
		{"compaction 500", "", "Error: etcdserver: mvcc: required revision is a future revision"},
		{"compaction --physical 7", "", "compacted revision 7\n"},
		{"get --rev 4 k", "", "Error: etcdserver: mvcc: required revision has been compacted"},
		{"get --prefix --write-out json x", "", `/"revision":8,/`},
	})
}

func TestEtcdctlWatch(t *testing.T) {
	t.Parallel()
	p := one(t)
	typeAt(t, p.Etcd, []typed{{"put k/a 1", "", "OK\n"}, {"put k/a 2", "", "OK\n"}})
	lines := talk(t, p.Etcd, "watch", "--prefix", "--prev-kv", "--rev", "2", "k/")
	expect := func(want ...string) {
		t.Helper()
		for _, w := range want {
			if got := next(t, lines); got != w {
				t.Fatalf("etcdctl watch prints %q, want %q", got, w)
			}
		}
	}
	expect("PUT", "k/a", "1")
	expect("PUT", "k/a", "1", "k/a", "2")
	typeAt(t, p.Etcd, []typed{{"put other x", "", "OK\n"}, {"put k/b 3", "", "OK\n"}, {"del k/a", "", "1\n"}})
	expect("PUT", "k/b", "3")
	expect("DELETE", "k/a", "2", "k/a", "")

	lines = talk(t, p.Etcd, "watch", "--rev", "2", "k/a", "--", "sh", "-c", "echo $ETCD_WATCH_EVENT_TYPE of $ETCD_WATCH_KEY")
	for _, want := range []string{`"PUT" of "k/a"`, `"PUT" of "k/a"`, `"DELETE" of "k/a"`} {
		got := next(t, lines)
		for !strings.Contains(got, " of ") { // what etcdctl prints of an event itself
			got = next(t, lines)
		}
		if got != want {
			t.Errorf("the command prints %q, want %q", got, want)
		}
	}
}

// TestEtcdctlWatchTyped types at etcdctl while it watches.
func TestEtcdctlWatchTyped(t *testing.T) {
	t.Parallel()
	p := one(t)
	c := connect(t, p.Etcd)
	put(t, c, "k", "1")
	cmd := etcdctl(t.Context(), p.Etcd, "watch", "--interactive")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	lines := linesOf(t, cmd)
	expect := func(want ...string) {
		t.Helper()
		for _, w := range want {
			if got := next(t, lines); got != w {
				t.Fatalf("etcdctl watch prints %q, want %q", got, w)
			}
		}
	}
	fmt.Fprintln(in, "watch --rev 2 k")
	expect("PUT", "k", "1")
	fmt.Fprintln(in, "progress")
	expect("progress notify: 2")
	put(t, c, "k", "2")
	expect("PUT", "k", "2")
	put(t, c, "elsewhere", "")
	fmt.Fprintln(in, "watch --prefix --rev 4 else")
	expect("PUT", "elsewhere", "")
	fmt.Fprintln(in, "progress")
	expect("progress notify: 4", "progress notify: 4") // one for each
}

func TestEtcdctlLease(t *testing.T) {
	t.Parallel()
	p := one(t)
	out := etcdctlPrints(t, p.Etcd, "lease", "grant", "600")
	id := regexp.MustCompile(`^lease ([0-9a-f]+) granted with TTL\(600s\)\n$`).FindStringSubmatch(out)
	if id == nil {
		t.Fatalf("lease grant prints %q", out)
	}
	typeAt(t, p.Etcd, []typed{
		{"put --lease " + id[1] + " k/a 1", "", "OK\n"},
		{"put --lease " + id[1] + " k/b 2", "", "OK\n"},
		{"lease list", "", "/" + id[1] + "\n/"},
		{"lease timetolive " + id[1], "", `/^lease ` + id[1] + ` granted with TTL\(600s\), remaining\((600|5\d\d)s\)\n$/`},
		{"lease timetolive --keys " + id[1], "", `/attached keys\(\[(k/a k/b|k/b k/a)\]\)/`},
		{"lease timetolive 4711", "", "lease 0000000000004711 already expired\n"},
		{"lease keep-alive --once " + id[1], "", "lease " + id[1] + " keepalived with TTL(600)\n"},
		{"lease keep-alive --once 4711", "", "Error: etcdserver: requested lease not found"},
		{"lease revoke 4711", "", "Error: failed to revoke lease (etcdserver: requested lease not found)"},
		{"lease revoke " + id[1], "", "lease " + id[1] + " revoked\n"},
		{"get --prefix k/", "", ""},
		{"lease grant 9000000001", "", "Error: failed to grant lease (etcdserver: too large lease TTL)"},
	})
}

// TestEtcdctlLock holds a lock for as long as a command runs, while another waits for it.
func TestEtcdctlLock(t *testing.T) {
	t.Parallel()
	p := one(t)
	dir := t.TempDir()
	release := filepath.Join(dir, "release")
	first := talk(t, p.Etcd, "lock", "l", "--", "sh", "-c", fmt.Sprintf("echo $ETCD_LOCK_KEY $ETCD_LOCK_REV; while [ ! -e %s ]; do sleep 0.05; done", release))
	if got := next(t, first); !regexp.MustCompile(`^l/[0-9a-f]+ 2$`).MatchString(got) {
		t.Errorf("the first holds %q", got)
	}
	second := talk(t, p.Etcd, "lock", "l")
	process.Eventually(t, 20*time.Second, "two in the queue", func() error {
		if out := etcdctlPrints(t, p.Etcd, "get", "--prefix", "--keys-only", "l/"); strings.Count(out, "l/") != 2 {
			return fmt.Errorf("the queue is %q", out)
		}
		return nil
	})
	select {
	case got := <-second:
		t.Errorf("the second holds it beside the first: %q", got)
	default:
	}
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := next(t, second); !strings.HasPrefix(got, "l/") {
		t.Errorf("the second holds %q", got)
	}
}

// TestEtcdctlElect elects one of two, and the other when that one goes.
func TestEtcdctlElect(t *testing.T) {
	t.Parallel()
	p := one(t)
	listener := talk(t, p.Etcd, "elect", "--listen", "e")
	one := etcdctl(t.Context(), p.Etcd, "elect", "e", "one")
	out, err := one.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Process.Kill() })
	lines := bufio.NewScanner(out)
	lines.Scan()
	key := lines.Text()
	if lines.Scan(); !strings.HasPrefix(key, "e/") || lines.Text() != "one" {
		t.Errorf("elected: %q, %q", key, lines.Text())
	}
	if k, v := next(t, listener), next(t, listener); k != key || v != "one" {
		t.Errorf("heard of: %q, %q", k, v)
	}
	two := talk(t, p.Etcd, "elect", "e", "two")
	process.Eventually(t, 20*time.Second, "two candidates", func() error {
		if out := etcdctlPrints(t, p.Etcd, "get", "--prefix", "--keys-only", "e/"); strings.Count(out, "e/") != 2 {
			return fmt.Errorf("there are %q", out)
		}
		return nil
	})
	one.Process.Signal(os.Interrupt) // resigns
	key = next(t, two)
	if v := next(t, two); v != "two" {
		t.Errorf("elected then: %q", v)
	}
	if k, v := next(t, listener), next(t, listener); k != key || v != "two" {
		t.Errorf("heard of then: %q, %q, want %q", k, v, key)
	}
	for lines.Scan() {
	}
	one.Wait()
}
