//go:build e2e

package systemtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// TestLockOfAKilledHolder has two processes fight for a lock, and the one that has it die without a word: the other has
// the lock once the session has run out, and not before.
func TestLockOfAKilledHolder(t *testing.T) {
	p := process.Dev(t, "--http-session-ttl-min", "1s")
	out := filepath.Join(t.TempDir(), "out")
	lock := func(script string) *exec.Cmd {
		cmd := process.Command("lock", "jobs/a", "--server", p.HTTP, "--ttl", "2s", "--lock-delay", "100ms", "--", "sh", "-c", strings.ReplaceAll(script, "$OUT", out))
		cmd.Stderr = os.Stderr
		return cmd
	}
	first := lock("echo $$ > $OUT.pid; echo first >> $OUT; while :; do sleep 0.1; done")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	holds := func(want string) func() error {
		return func() error {
			if b, err := os.ReadFile(out); err != nil || string(b) != want {
				return fmt.Errorf("the commands wrote %q (%v)", b, err)
			}
			return nil
		}
	}
	process.Eventually(t, 10*time.Second, "the first", holds("first\n"))
	second := lock("echo second >> $OUT; exit 7")
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	pid, err := os.ReadFile(out + ".pid")
	if err != nil {
		t.Fatal(err)
	}
	process.Eventually(t, 5*time.Second, "the end of its command", func() error {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if err == nil && !strings.Contains(string(stat), ") Z ") {
			return fmt.Errorf("process %s lives: %s", pid, stat)
		}
		return nil
	})
	process.Eventually(t, 15*time.Second, "the second", holds("first\nsecond\n"))
	if took := time.Since(killed); took < time.Second {
		t.Errorf("the lock of a holder that may be alive was had after %v", took)
	}
	var exit *exec.ExitError
	if err := second.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("the second ended with %v, want status 7", err)
	}
}
