//go:build unix

package check

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"herald/registry"
)

func TestExecStatus(t *testing.T) {
	tests := []struct {
		name   string
		spec   map[string]any
		want   registry.HealthStatus
		output string
	}{
		{"ends with 0", map[string]any{"shell": "echo fine"}, registry.Passing, "fine\n"},
		{"ends with 1", map[string]any{"shell": "echo slow; exit 1"}, registry.Warning, "slow\n"},
		{"ends with 2", map[string]any{"shell": "echo dead; exit 2"}, registry.Critical, "exit status 2: dead\n"},
		{"both outputs in order", map[string]any{"shell": "echo a; echo b >&2; echo c"}, registry.Passing, "a\nb\nc\n"},
		{"args are not a shell's", map[string]any{"args": []any{"echo", "$HOME;"}}, registry.Passing, "$HOME;\n"},
		{"killed by a signal", map[string]any{"shell": "kill -TERM $$"}, registry.Critical, "signal: terminated: "},
		{"no such program", map[string]any{"args": []any{"/no/such/program"}}, registry.Critical, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, output := run(t, define(Exec, tt.spec), 10*time.Second)
			if status != tt.want || !strings.Contains(output, tt.output) {
				t.Errorf("%s %q, want %s %q", status, output, tt.want, tt.output)
			}
		})
	}
}

func TestExecKeepsTheEndOfTheOutput(t *testing.T) {
	d := define(Exec, map[string]any{"shell": "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done"})
	d.OutputMaxSize = 100
	status, output := run(t, d, 10*time.Second)
	if status != registry.Passing || len(output) != 100 || !strings.HasSuffix(output, "line 999\n") || !strings.HasPrefix(output, "(the last of 8890 bytes)\n") {
		t.Errorf("%s, %d bytes: %q", status, len(output), output)
	}
}

// TestExecKillsTheWholeGroup has a command that starts another and waits. Both must
// be gone when the check's time is up.
func TestExecKillsTheWholeGroup(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	c := newChecker(t, define(Exec, map[string]any{
		"shell": "echo before; sleep 1000 & echo $$ $! > " + pids + ".tmp; mv " + pids + ".tmp " + pids + "; wait",
	}))
	ctx, timeIsUp := context.WithCancel(t.Context())
	defer timeIsUp()
	type result struct {
		status registry.HealthStatus
		output string
	}
	done := make(chan result, 1)
	go func() {
		status, output := c.Check(ctx)
		done <- result{status, output}
	}()
	var b []byte
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-poll.C {
		var err error
		if b, err = os.ReadFile(pids); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the command did not get as far as to start another: %v", err)
		}
	}
	timeIsUp()
	r := <-done
	if r.status != registry.Critical || !strings.Contains(r.output, "killed after") || !strings.Contains(r.output, "before") {
		t.Errorf("%s %q, want critical, that it was killed, and what it had said", r.status, r.output)
	}
	for _, field := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		awaitGone(t, pid)
	}
}

// awaitGone waits until a process is no more. A killed grandchild is a zombie until
// init has reaped it.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(5 * time.Second); ; <-poll.C {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || isZombie(pid) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs", pid)
		}
	}
}

func isZombie(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	// The state follows the name, which is in parentheses and may hold any.
	_, after, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	return strings.HasPrefix(after, "Z")
}

// TestExecDoesNotWaitForDaemons has a command that ends well and leaves a process
// behind that holds its output open.
func TestExecDoesNotWaitForDaemons(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	d := define(Exec, map[string]any{"shell": "sleep 1000 & echo $! > " + pidFile + "; echo done"})
	started := time.Now()
	status, output := run(t, d, 30*time.Second)
	took := time.Since(started)
	if b, err := os.ReadFile(pidFile); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if status != registry.Passing || output != "done\n" || took > 10*time.Second {
		t.Errorf("%s %q after %v, want passing soon", status, output, took)
	}
}
