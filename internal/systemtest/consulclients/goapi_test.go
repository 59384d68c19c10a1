//go:build e2e

package consulclients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGoAPI runs the tests of the module goapi, which know Herald by its addresses only.
func TestGoAPI(t *testing.T) {
	program := filepath.Join(t.TempDir(), "goapi.test")
	build := exec.Command("go", "test", "-c", "-o", program, ".")
	build.Dir = "goapi"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	onServers(t, func(t *testing.T, servers []string) {
		cmd := exec.CommandContext(soon(t), program)
		cmd.Env = append(os.Environ(), "HERALD_HTTP="+strings.Join(servers, ","))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}
