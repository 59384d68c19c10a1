//go:build e2e

package systemtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// answer is a response with its status.
func answer(t *testing.T, p *process.Process, args ...string) (status, body string) {
	t.Helper()
	out := curl(t, append([]string{"-w", "\n%{http_code}"}, args...)...)
	i := strings.LastIndexByte(out, '\n')
	return out[i+1:], out[:i]
}

func TestBadRequestsAreRefusedWithAReasonAndLoseNothing(t *testing.T) {
	p := process.Dev(t)
	curl(t, "-X", "PUT", "-d", "kept", p.URL("/v1/kv/kept"))
	curl(t, "-X", "PUT", "-d", `{"Name":"kept","Port":1}`, p.URL("/v1/agent/service/register"))

	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, bytes.Repeat([]byte("x"), 512<<10+1), 0o600); err != nil {
		t.Fatal(err)
	}
	register := p.URL("/v1/agent/service/register")
	for _, tc := range []struct {
		what         string
		status, want string
		args         []string
	}{
		{"malformed JSON", "400", "line", []string{"-X", "PUT", "-d", "{\n  \"Name\": \"x\",,\n}", register}},
		{"an unknown field", "400", `unknown field "Bogus"`, []string{"-X", "PUT", "-d", `{"Name":"x","Bogus":1}`, register}},
		{"no name", "400", "name", []string{"-X", "PUT", "-d", `{"Port":1}`, register}},
		{"a check without interval", "400", "Interval", []string{"-X", "PUT", "-d", `{"Name":"x","Check":{"HTTP":"http://127.0.0.1/"}}`, register}},
		{"a bad TTL of a check", "400", "", []string{"-X", "PUT", "-d", `{"Name":"x","Check":{"TTL":"soon"}}`, register}},
		{"a bad TTL of a lease", "400", "", []string{"-X", "PUT", "-d", `{"TTL":"-5s"}`, p.URL("/v1/lease/grant")}},
		{"a value over the limit", "413", "524288", []string{"-X", "PUT", "--data-binary", "@" + big, p.URL("/v1/kv/big")}},
		{"no key", "400", "Missing key name", []string{"-X", "PUT", "-d", "x", p.URL("/v1/kv/")}},
		{"a bad index", "400", "Invalid index", []string{p.URL("/v1/kv/kept?index=abc")}},
		{"a bad wait", "400", "Invalid wait time", []string{p.URL("/v1/kv/kept?wait=10")}},
		{"an unknown path", "404", "", []string{p.URL("/v1/nothing")}},
		{"a wrong method", "405", "POST", []string{"-X", "POST", p.URL("/v1/kv/kept")}},
	} {
		status, body := answer(t, p, tc.args...)
		if status != tc.status || !strings.Contains(body, tc.want) {
			t.Errorf("%s: %s %q, want %s and %q", tc.what, status, body, tc.status, tc.want)
		}
	}
	if got := curl(t, p.URL("/v1/kv/?keys")); got != `["kept"]` {
		t.Errorf("the keys afterwards: %s", got)
	}
	var services map[string]any
	if err := json.Unmarshal([]byte(curl(t, p.URL("/v1/agent/services"))), &services); err != nil || services["kept"] == nil || services["x"] != nil {
		t.Errorf("the services afterwards: %v, %v", services, err)
	}
}

func TestLimitsAreAdjustable(t *testing.T) {
	p := process.Dev(t, "--http-max-value-bytes", "1000", "--limits-request-bytes", "4096")
	put := func(n int) string {
		status, _ := answer(t, p, "-X", "PUT", "-d", strings.Repeat("x", n), p.URL("/v1/kv/k"))
		return status
	}
	if got := put(1000); got != "200" {
		t.Errorf("a value at the limit: %s", got)
	}
	if got := put(1001); got != "413" {
		t.Errorf("a value over the limit: %s", got)
	}
}

func TestNamesThatDNSCannotCarryAreRegisteredWithAWarning(t *testing.T) {
	server := process.Dev(t)
	long := strings.Repeat("x", 64)
	dir := t.TempDir()
	for file, definition := range map[string]string{
		"under.json": `{"service": {"name": "under_score", "port": 1}}`,
		"long.json":  fmt.Sprintf(`{"service": {"name": %q, "port": 1}}`, long),
		"tag.json":   `{"service": {"name": "fine", "tags": ["not a label"], "port": 1}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(definition), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := agent(t, server, "--config-dir", dir)
	for _, name := range []string{"under_score", long, "fine"} {
		process.Eventually(t, 5*time.Second, name+" is found over HTTP", func() error {
			if ids := passing(t, server, name); len(ids) != 1 {
				return fmt.Errorf("passing instances: %v", ids)
			}
			return nil
		})
	}
	for _, want := range []string{"under_score", long, "not a label"} {
		if !strings.Contains(a.Printed(), want) {
			t.Errorf("the agent's log has no warning that names %q:\n%s", want, a.Printed())
		}
	}
	// Over the API too, with the warning in a header.
	for _, name := range []string{long + "y", "under_score_2", "dotted.name"} {
		headers := curl(t, "-o", "/dev/null", "-D", "-", "-X", "PUT", "-d", fmt.Sprintf(`{"Name":%q}`, name), server.URL("/v1/agent/service/register"))
		if !strings.Contains(headers, " 200 ") || !strings.Contains(headers, name) {
			t.Errorf("register of %s answered %s", name, headers)
		}
		process.Eventually(t, 5*time.Second, name+" is found over HTTP", func() error {
			if ids := passing(t, server, name); len(ids) != 1 {
				return fmt.Errorf("passing instances: %v", ids)
			}
			return nil
		})
	}
}

func TestTheSameServiceIDInTwoFilesIsRefused(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"a.json", "b.json"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(`{"service": {"name": "web", "id": "web-1", "port": 1}}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := process.Command("agent", "--join", "127.0.0.1:1", "--http-address", "127.0.0.1:0", "--config-dir", dir).CombinedOutput()
	if err == nil {
		t.Fatalf("started:\n%s", out)
	}
	for _, want := range []string{"web-1", "a.json", "b.json"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the error does not name %s:\n%s", want, out)
		}
	}
}

// contents reads every file of a directory, to compare later.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDataOfAnotherNodeOrANewerFormatIsLeftUntouched(t *testing.T) {
	dir := t.TempDir()
	p := process.Dev(t, "--data-dir", dir, "--raft-node-id", "11111111-1111-4111-8111-111111111111")
	curl(t, "-X", "PUT", "-d", "v", p.URL("/v1/kv/k"))
	p.Stop()

	refused := func(t *testing.T, want string, args ...string) {
		t.Helper()
		before := contents(t, dir)
		cmd := process.Command(append([]string{"dev", "--data-dir", dir, "--http-address", "127.0.0.1:0", "--dns-address", "127.0.0.1:0",
			"--peer-address", "127.0.0.1:0", "--etcd-address", "127.0.0.1:0"}, args...)...)
		out, err := cmd.CombinedOutput()
		if _, exited := err.(*exec.ExitError); !exited || !strings.Contains(string(out), want) || !strings.Contains(string(out), dir) {
			t.Errorf("%v: want a refusal that says %q and names the directory:\n%s", err, want, out)
		}
		after := contents(t, dir)
		if len(before) != len(after) {
			t.Errorf("%d files before, %d after", len(before), len(after))
		}
		for path, b := range before {
			if after[path] != b {
				t.Errorf("%s was changed", path)
			}
		}
	}
	t.Run("another node", func(t *testing.T) {
		refused(t, "another node", "--raft-node-id", "22222222-2222-4222-8222-222222222222")
	})
	t.Run("newer format", func(t *testing.T) {
		file := filepath.Join(dir, "herald.json")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var meta map[string]any
		if err := json.Unmarshal(b, &meta); err != nil {
			t.Fatal(err)
		}
		meta["format_version"] = 99
		newer, _ := json.Marshal(meta)
		if err := os.WriteFile(file, newer, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, "newer version")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	p = process.Dev(t, "--data-dir", dir)
	if got := curl(t, p.URL("/v1/kv/k?raw")); got != "v" {
		t.Errorf("after the refusals: %q", got)
	}
}
