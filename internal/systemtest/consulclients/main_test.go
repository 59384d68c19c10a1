//go:build e2e

package consulclients

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

func TestMain(m *testing.M) {
	os.Exit(process.Main(m, "go", "node", "npm", "/usr/bin/python3", "prometheus"))
}

// onServers runs a test on one server and on three, with their HTTP addresses.
func onServers(t *testing.T, test func(t *testing.T, servers []string)) {
	t.Helper()
	onDoors(t, func(t *testing.T, servers, _ []string) { test(t, servers) })
}

// onDoors is onServers for a test that needs the addresses of etcd's API, too.
func onDoors(t *testing.T, test func(t *testing.T, servers, etcd []string)) {
	t.Helper()
	t.Run("one server", func(t *testing.T) {
		t.Parallel()
		p := process.Dev(t)
		test(t, []string{p.HTTP}, []string{p.Etcd})
	})
	t.Run("three servers", func(t *testing.T) {
		t.Parallel()
		trio := process.NewTrio(t)
		test(t, trio.HTTP[:], trio.Etcd[:])
	})
}

// wantWords runs a program that says a word for each thing that went well.
func wantWords(t *testing.T, words string, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil || !slices.Equal(strings.Fields(string(out)), strings.Fields(words)) {
		t.Errorf("%v\n%s", err, out)
	}
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
