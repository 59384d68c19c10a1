//go:build e2e

package systemtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// TestReload changes the settings of a server and what its agent is to advertise, and has them read again: by SIGHUP and by the
// HTTP API, which do the same.
func TestReload(t *testing.T) {
	definitions := t.TempDir()
	file := filepath.Join(t.TempDir(), "herald.yaml")
	write := func(limit int, level, service string) {
		t.Helper()
		settings := fmt.Sprintf("log: {level: %s}\nagent: {config_dirs: [%q]}\ndoors: {http: {max_value_bytes: %d}}\n", level, definitions, limit)
		if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(definitions, "service.json"), []byte(service), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(10, "warn", `{"service": {"name": "first"}}`)
	p := process.Dev(t, "--config", file)
	// holds says whether values of so many bytes are the largest, and the service is the only one.
	holds := func(limit int, service string) error {
		if status, _ := process.Put(t, p.URL("/v1/kv/a"), strings.Repeat("x", limit)); status != http.StatusOK {
			return fmt.Errorf("%d bytes: status %d", limit, status)
		}
		if status, _ := process.Put(t, p.URL("/v1/kv/a"), strings.Repeat("x", limit+1)); status != http.StatusRequestEntityTooLarge {
			return fmt.Errorf("%d bytes: status %d", limit+1, status)
		}
		res, err := http.Get(p.URL("/v1/agent/services"))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		var all map[string]struct{ Service string }
		if err := json.NewDecoder(res.Body).Decode(&all); err != nil {
			return err
		}
		delete(all, "consul")
		if len(all) != 1 || all[service].Service != service {
			return fmt.Errorf("the agent has %v, want %s", all, service)
		}
		return nil
	}
	if err := holds(10, "first"); err != nil {
		t.Fatal(err)
	}

	write(20, "info", `{"service": {"name": "second"}}`)
	if status, answer := process.Put(t, p.URL("/v1/agent/reload"), ""); status != http.StatusOK || answer != "" {
		t.Fatalf("%d %s", status, answer)
	}
	if err := holds(20, "second"); err != nil {
		t.Error(err)
	}
	if log := p.Printed(); !strings.Contains(log, "read again") { // which it says at the level it has now
		t.Errorf("the log does not say so:\n%s", log)
	}

	for _, bad := range []struct {
		what           string
		level, service string
		names          string
		limit          int
	}{
		{"a setting", "loud", `{"service": {"name": "third"}}`, "log.level", 30},
		{"a limit", "info", `{"service": {"name": "third"}}`, "max_value_bytes", -1},
		{"a definition", "info", `{"service": {"name": `, "service.json", 30},
	} {
		write(bad.limit, bad.level, bad.service)
		if status, answer := process.Put(t, p.URL("/v1/agent/reload"), ""); status < 400 || !strings.Contains(answer, bad.names) || !strings.Contains(answer, "nothing was reloaded") {
			t.Errorf("%s that is wrong: %d %s", bad.what, status, answer)
		}
		if err := holds(20, "second"); err != nil {
			t.Errorf("after %s that is wrong: %v", bad.what, err)
		}
	}

	write(30, "info", `{"service": {"name": "third"}}`)
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	process.Eventually(t, 10*time.Second, "what is read at SIGHUP", func() error { return holds(30, "third") })
}
