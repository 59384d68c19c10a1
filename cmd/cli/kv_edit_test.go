package cli

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"herald/client"
	"herald/registry"
)

// editor makes an editor of a shell script that is given the file, and keeps the files that are edited in a
// directory of the test.
func editor(t *testing.T, script string) (files string) {
	t.Helper()
	files = t.TempDir()
	t.Setenv("TMPDIR", files)
	name := filepath.Join(t.TempDir(), "ed.sh")
	if err := os.WriteFile(name, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VISUAL", "sh "+name)
	return files
}

func value(t *testing.T, c *client.Client, key string) string {
	t.Helper()
	kv, _, err := c.KV().Get(t.Context(), key, client.ReadOptions{})
	if errors.Is(err, registry.ErrKeyNotFound) {
		return "(none)"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(kv.Value)
}

func TestEdit(t *testing.T) {
	url, c := door(t)
	if _, err := c.KV().Put(t.Context(), "app/list.json", []byte("one\n"), client.PutOptions{Flags: 7}); err != nil {
		t.Fatal(err)
	}
	put(t, c, "plain", "v1")
	for name, tc := range map[string]struct {
		key, script, want string
	}{
		"more":                 {"app/list.json", `case "$1" in *.json) echo two >> "$1";; esac`, "one\ntwo\n"},
		"a new key":            {"new", `printf 'x\ny\n' > "$1"`, "x\ny"},
		"nothing":              {"plain", `true`, "v1"},
		"only the end of file": {"plain", `echo >> "$1"`, "v1"},
		"nothing of none":      {"none", `true`, "(none)"},
	} {
		t.Run(name, func(t *testing.T) {
			files := editor(t, tc.script)
			if _, stderr, status := run("kv", "edit", tc.key, "--server", url); status != 0 {
				t.Fatalf("status %d: %s", status, stderr)
			}
			if got := value(t, c, tc.key); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
			if left, err := os.ReadDir(files); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
	if kv, _, err := c.KV().Get(t.Context(), "app/list.json", client.ReadOptions{}); err != nil || kv.Flags != 7 {
		t.Errorf("flags %d, %v", kv.Flags, err)
	}
	if kv, _, err := c.KV().Get(t.Context(), "plain", client.ReadOptions{}); err != nil || kv.CreateRevision != kv.ModRevision {
		t.Errorf("what was not changed was written: %+v %v", kv, err)
	}
}

// What was typed is kept when it cannot be written.
func TestEditKeepsTheText(t *testing.T) {
	url, c := door(t)
	for name, tc := range map[string]struct{ script, status, want string }{
		"a conflict":           {`echo mine > "$1"; printf theirs > "$TMPDIR/go"; while [ -e "$TMPDIR/go" ]; do sleep 0.01; done`, "changed by someone else", "theirs"},
		"an editor that fails": {`echo mine > "$1"; exit 3`, "exit status 3", "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			put(t, c, "k", "v1")
			files := editor(t, tc.script)
			type result struct {
				stderr string
				status int
			}
			done := make(chan result)
			go func() {
				_, stderr, status := run("kv", "edit", "k", "--server", url)
				done <- result{stderr, status}
			}()
			var got result
			for over := false; !over; {
				select {
				case got = <-done:
					over = true
				case <-time.After(5 * time.Millisecond):
					if b, err := os.ReadFile(filepath.Join(files, "go")); err == nil && len(b) > 0 {
						put(t, c, "k", string(b))
						if err := os.Remove(filepath.Join(files, "go")); err != nil {
							t.Error(err)
						}
					}
				}
			}
			file := regexp.MustCompile(regexp.QuoteMeta(files) + `/herald-\S+-k`).FindString(got.stderr)
			if got.status != 1 || !strings.Contains(got.stderr, tc.status) || file == "" {
				t.Fatalf("status %d: %s", got.status, got.stderr)
			}
			if b, err := os.ReadFile(file); err != nil || string(b) != "mine\n" {
				t.Errorf("kept: %q %v", b, err)
			}
			if v := value(t, c, "k"); v != tc.want {
				t.Errorf("the key is %q, want %q", v, tc.want)
			}
		})
	}
}
