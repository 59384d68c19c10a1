//go:build e2e

package consulclients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNpmConsul runs a program with npm's consul, of the version that npm/package-lock.json pins.
func TestNpmConsul(t *testing.T) {
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
	onServers(t, func(t *testing.T, servers []string) {
		program := exec.CommandContext(soon(t), "node", "history.js", strings.Join(servers, ","))
		program.Dir = dir
		wantWords(t, "keys sessions services checks events queries transactions done", program)
	})
}
