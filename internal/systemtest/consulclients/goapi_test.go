//go:build e2e

package consulclients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGoAPI runs the tests of the module goapi.
func TestGoAPI(t *testing.T) { runModule(t, "goapi") }

// runModule runs the tests of a module below this one, which know Herald by its addresses only.
func runModule(t *testing.T, module string) {
	program := filepath.Join(t.TempDir(), module+".test")
	build := exec.Command("go", "test", "-c", "-o", program, ".")
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	onDoors(t, func(t *testing.T, servers, etcd []string) {
		cmd := exec.CommandContext(soon(t), program)
		cmd.Env = append(os.Environ(), "HERALD_HTTP="+strings.Join(servers, ","), "HERALD_ETCD="+strings.Join(etcd, ","))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}
