package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// run runs a command line and returns what it printed and its exit status.
func run(args ...string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	status = Main(args, &out, &errs, withTestDoor())
	return out.String(), errs.String(), status
}

func TestExitStatus(t *testing.T) {
	for _, tc := range []struct {
		args   string
		status int
		want   string // in what is printed to standard error
	}{
		{"version", 0, ""},
		{"plugins", 0, ""},
		{"", 0, ""},
		{"bogus", 2, `no command "bogus"`},
		{"membrs", 2, `did you mean "members"`},
		{"kv", 2, "needs a command"},
		{"kv bogus", 2, `no command "bogus"`},
		{"config bogus", 2, `no command "bogus"`},
		{"service bogus x", 2, `no command "bogus"`},
		{"kv get", 2, "accepts 1 arg"},
		{"kv get a --stale --consistent --server 127.0.0.1:1", 2, "contradict"},
		{"kv put a --cas -1", 2, "--cas"},
		{"version --output xml", 2, "--output"},
		{"config show --for cook", 2, "--for"},
		{"dev --bogus", 2, "unknown flag: --bogus"},
		{"server", 2, "--data-dir"},
		{"agent", 2, "--join"},
		{"server --data-dir x --join http://10.0.0.1:7400", 1, "no peer address"},
		{"config validate nofile.yaml", 1, "nofile.yaml"},
		{"kv get a --server 127.0.0.1:1", 1, "127.0.0.1:1"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			_, stderr, status := run(strings.Fields(tc.args)...)
			if status != tc.status || !strings.Contains(stderr, tc.want) {
				t.Errorf("status %d, want %d; %q, want %q in it", status, tc.status, stderr, tc.want)
			}
			if n := strings.Count(stderr, "nofile.yaml"); n > 1 {
				t.Errorf("the file is named %d times: %s", n, stderr)
			}
		})
	}
}

func TestServersThatCannotFindEachOtherAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("data_dir: "+t.TempDir()+"\nraft: {bootstrap_expect: 3}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, status := run("server", "--config", file); status != 1 || !strings.Contains(stderr, "addresses to join") {
		t.Errorf("status %d, %s", status, stderr)
	}
}

func TestConfigShowFollowsTheRole(t *testing.T) {
	level := func(role string) string {
		out, stderr, status := run("config", "show", "--output", "json", "--for", role)
		if status != 0 {
			t.Fatalf("status %d: %s", status, stderr)
		}
		var all []effective
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if e.Name == "log.level" {
				return e.Value.(string)
			}
		}
		return ""
	}
	if dev, server := level("dev"), level("server"); dev != "warn" || server != "info" {
		t.Errorf("log.level is %q for dev and %q for server", dev, server)
	}
}

func TestKeysThatUpsetATerminalAreQuoted(t *testing.T) {
	for name, tc := range map[string]struct{ key, want string }{
		"plain":   {"app/db", "app/db"},
		"control": {"a\nb", `"a\nb"`},
		"binary":  {"a\xff", `"a\xff"`},
	} {
		if got := printable(tc.key); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}
