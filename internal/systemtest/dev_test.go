//go:build e2e

package systemtest

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

func TestKeyValueWithCurl(t *testing.T) {
	p := process.Dev(t)
	kv := p.URL("/v1/kv/")
	for _, step := range []struct {
		what string
		args []string
		want string
	}{
		{"put", []string{"-X", "PUT", "-d", "v1", kv + "app/db"}, "true"},
		{"get raw", []string{kv + "app/db?raw"}, "v1"},
		{"put with flags", []string{"-X", "PUT", "-d", "v2", kv + "app/cache?flags=3304740253564472344"}, "true"},
		{"keys", []string{kv + "app/?keys"}, `["app/cache","app/db"]`},
		{"keys folded", []string{kv + "?keys&separator=/"}, `["app/"]`},
		{"cas that fails", []string{"-X", "PUT", "-d", "v3", kv + "app/db?cas=99"}, "false"},
		{"create only, key exists", []string{"-X", "PUT", "-d", "v3", kv + "app/db?cas=0"}, "false"},
		{"create only", []string{"-X", "PUT", "-d", "v3", kv + "app/new?cas=0"}, "true"},
		{"delete", []string{"-X", "DELETE", kv + "app/new"}, "true"},
		{"delete of what is not there", []string{"-X", "DELETE", kv + "app/new"}, "true"},
		{"delete a subtree", []string{"-X", "DELETE", kv + "app/c?recurse"}, "true"},
		{"keys at the end", []string{kv + "?keys"}, `["app/db"]`},
	} {
		if got := curl(t, step.args...); got != step.want {
			t.Errorf("%s: got %s, want %s", step.what, got, step.want)
		}
	}
	if got := curlStatus(t, kv+"app/new"); got != "404" {
		t.Errorf("get of a deleted key: status %s", got)
	}

	var entries []struct {
		Key         string
		Value       []byte
		Flags       uint64
		ModifyIndex uint64
	}
	if err := json.Unmarshal([]byte(curl(t, kv+"?recurse")), &entries); err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Key != "app/db" || string(entries[0].Value) != "v1" {
		t.Fatalf("recurse: got %+v", entries)
	}
	cas := fmt.Sprintf("%sapp/db?cas=%d", kv, entries[0].ModifyIndex)
	if got := curl(t, "-X", "PUT", "-d", "v9", cas); got != "true" {
		t.Errorf("cas with the right index: %s", got)
	}
	if got := curl(t, "-X", "PUT", "-d", "v10", cas); got != "false" {
		t.Errorf("cas with a stale index: %s", got)
	}
}

func TestBlockingRead(t *testing.T) {
	p := process.Dev(t)
	key := p.URL("/v1/kv/app/wait")
	curl(t, "-X", "PUT", "-d", "1", key)
	index := headerOf(t, key, "X-Consul-Index")

	got := make(chan string, 1)
	go func() { got <- output(t, "curl", "-sS", "--max-time", "20", key+"?raw&wait=15s&index="+index) }()
	select {
	case v := <-got:
		t.Fatalf("a blocking read returned %q before the key changed", v)
	case <-time.After(300 * time.Millisecond):
	}
	curl(t, "-X", "PUT", "-d", "other", p.URL("/v1/kv/other"))
	select {
	case v := <-got:
		t.Fatalf("a write to another key woke the read: %q", v)
	case <-time.After(300 * time.Millisecond):
	}
	curl(t, "-X", "PUT", "-d", "2", key)
	select {
	case v := <-got:
		if v != "2" {
			t.Errorf("got %q, want 2", v)
		}
	case <-time.After(5 * time.Second):
		t.Error("the blocking read was not woken by a write to its key")
	}

	index = headerOf(t, key, "X-Consul-Index")
	begin := time.Now()
	if again := headerOf(t, key+"?wait=1s&index="+index, "X-Consul-Index"); again != index {
		t.Errorf("a timeout moved the index from %s to %s", index, again)
	}
	if took := time.Since(begin); took < time.Second || took > 3*time.Second {
		t.Errorf("wait=1s took %v", took)
	}
}

// headerOf returns one response header of a GET.
func headerOf(t *testing.T, url, name string) string {
	t.Helper()
	for line := range strings.Lines(curl(t, "-o", "/dev/null", "-D", "-", url)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	t.Fatalf("%s: no header %s", url, name)
	return ""
}

func TestPortInUseNamesTheFlag(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := map[string]string{"--http-address": "127.0.0.1:0", "--dns-address": "127.0.0.1:0", "--etcd-address": "127.0.0.1:0", "--peer-address": "127.0.0.1:0"}
	for flag := range free {
		t.Run(flag, func(t *testing.T) {
			args := []string{"dev"}
			for f, v := range free {
				if f == flag {
					v = taken.Addr().String()
				}
				args = append(args, f, v)
			}
			out, err := process.Command(args...).CombinedOutput()
			if err == nil {
				t.Fatalf("started on a port in use:\n%s", out)
			}
			if !strings.Contains(string(out), flag) || !strings.Contains(string(out), taken.Addr().String()) {
				t.Errorf("the error names neither %s nor the address:\n%s", flag, out)
			}
		})
	}
}

func TestSecondProcessOnADataDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	p := process.Dev(t, "--data-dir", dir)
	curl(t, "-X", "PUT", "-d", "v", p.URL("/v1/kv/k"))
	out, err := process.Command("dev", "--data-dir", dir, "--http-address", "127.0.0.1:0", "--dns-address", "127.0.0.1:0",
		"--peer-address", "127.0.0.1:0", "--etcd-address", "127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), dir) || !strings.Contains(string(out), "--data-dir") {
		t.Errorf("second process: %v\n%s", err, out)
	}
	if got := curl(t, p.URL("/v1/kv/k?raw")); got != "v" {
		t.Errorf("the first process answers %q", got)
	}
}

func TestUnknownSettingIsRefusedByName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("raft:\n  log_stor: wal\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := process.Command("config", "validate", file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), `"raft.log_stor"`) || !strings.Contains(string(out), `"raft.log_store"`) {
		t.Errorf("config validate: %v\n%s", err, out)
	}
}

func TestCommands(t *testing.T) {
	p := process.Dev(t)
	p.Herald("kv", "put", "app/a", "1")
	p.Herald("kv", "put", "app/b", "2")
	if got := p.Herald("kv", "get", "app/a"); got != "1" {
		t.Errorf("kv get: %q", got)
	}
	if got := p.Herald("kv", "list", "app/"); !strings.Contains(got, "app/a") || !strings.Contains(got, "app/b") {
		t.Errorf("kv list: %q", got)
	}
	p.Herald("kv", "delete", "app/a")
	var listed []map[string]any
	if err := json.Unmarshal([]byte(p.Herald("kv", "list", "app/", "--output", "json")), &listed); err != nil || len(listed) != 1 {
		t.Errorf("kv list --output json: %v, %v", listed, err)
	}
	for _, c := range []struct{ args, want string }{
		{"members", "leader"}, {"plugins", "dns"}, {"plugins --output json", `"http"`}, {"version", "herald"},
		{"config show", "doors.http.address"}, {"completion bash", "herald"}, {"health", "ready"},
		{"service list", "consul"},
	} {
		args := strings.Fields(c.args)
		if args[0] == "members" || args[0] == "service" || args[0] == "health" {
			args = append(args, "--server", p.HTTP)
		}
		out, err := process.Command(args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("herald %s: %v\n%s", c.args, err, out)
		}
	}
}

func TestOrderlyStop(t *testing.T) {
	p := process.Dev(t, "--data-dir", t.TempDir())
	curl(t, "-X", "PUT", "-d", "v", p.URL("/v1/kv/k"))
	p.Stop()
}
