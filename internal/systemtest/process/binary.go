//go:build unix

package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary is the herald under test. Main and Use alone set it, while nothing runs.
var binary string

// Main is a TestMain for tests of the binary that HERALD_BIN names, which is built
// where it names none. It returns what to exit with, which is 1 without running a test when one of
// the tools that the tests drive is not installed.
func Main(m *testing.M, tools ...string) int {
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			fmt.Fprintf(os.Stderr, "%s is needed and not installed: %v\n", tool, err)
			return 1
		}
	}
	if binary = os.Getenv("HERALD_BIN"); binary == "" {
		dir, err := os.MkdirTemp("", "herald-bin-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "herald")
		build := exec.Command("go", "build", "-o", binary, "herald/cmd/herald")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// Use has another program be the herald until the test ends, which must not run beside others.
func Use(t *testing.T, program string) {
	standard := binary
	binary = program
	t.Cleanup(func() { binary = standard })
}

// Command prepares herald, without the HERALD_ variables of the environment.
func Command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "HERALD_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	return cmd
}
