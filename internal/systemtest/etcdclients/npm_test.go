//go:build e2e

package etcdclients

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNpmEtcd3 runs a program with npm's etcd3, of the version that npm/package-lock.json pins.
func TestNpmEtcd3(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "history.js"} {
		b, err := os.ReadFile(filepath.Join("npm", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	for what, hosts := range map[string]func() []string{
		"one server":    func() []string { return []string{one(t).Etcd} },
		"three servers": func() []string { trio := three(t); return trio.Etcd[:] },
	} {
		program := exec.CommandContext(soon(t), "node", "history.js", strings.Join(hosts(), ","))
		program.Dir = dir
		out, err := program.CombinedOutput()
		if want := strings.Fields("keys transactions watches leases locks elections done"); err != nil || !slices.Equal(strings.Fields(string(out)), want) {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
}
