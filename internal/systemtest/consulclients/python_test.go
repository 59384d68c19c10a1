//go:build e2e

package consulclients

import (
	"os/exec"
	"strings"
	"testing"
)

// TestPythonConsul runs a program with the python-consul that Debian has.
func TestPythonConsul(t *testing.T) {
	onServers(t, func(t *testing.T, servers []string) {
		wantWords(t, "keys sessions services checks events queries coordinates done", exec.CommandContext(soon(t), "/usr/bin/python3", "history.py", strings.Join(servers, ",")))
	})
}
