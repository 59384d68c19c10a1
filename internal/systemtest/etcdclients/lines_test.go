//go:build e2e

package etcdclients

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// run starts a tool that goes on printing, and returns its lines. It is ended with the test.
func run(t *testing.T, name string, args ...string) (lines <-chan string) {
	t.Helper()
	return linesOf(t, exec.CommandContext(t.Context(), name, args...))
}

func linesOf(t *testing.T, cmd *exec.Cmd) (lines <-chan string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := &process.Buffer{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	all := make(chan string, 1000)
	go func() {
		defer close(all)
		for s := bufio.NewScanner(out); s.Scan(); {
			all <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		for range all {
		}
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", strings.Join(cmd.Args, " "), said)
		}
	})
	return all
}

// next is a line that comes soon.
func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case l, ok := <-lines:
		if !ok {
			t.Fatal("no more lines")
		}
		return l
	case <-time.After(30 * time.Second):
		t.Fatal("no line within 30 s")
	}
	return ""
}
