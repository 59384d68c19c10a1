//go:build unix

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"herald/client"
)

func TestLockStatus(t *testing.T) {
	url, c := door(t)
	lock := func(args ...string) (string, int) {
		_, stderr, status := run(append([]string{"lock", "--server", url}, args...)...)
		return stderr, status
	}
	for _, tc := range []struct {
		args   string
		status int
		want   string
	}{
		{"k -- true", 0, ""},
		{"k -- sh -c exit\t7", 7, ""},
		{"k -- sh -c kill\t-9\t$$", 137, ""},
		{"k -- sh -c test\t$HERALD_LOCK_KEY\t=\tk", 0, ""},
		{"k -- /nonexistent/command", 127, "/nonexistent/command"},
		{"k -n 3 -- true", 0, ""},
		{"k", 2, "a command"},
		{"k true", 2, "a command"},
		{"k more -- true", 2, "a command"},
		{"k --try --wait 1s -- true", 2, "--try"},
		{"k --n 0 -- true", 2, "--n"},
		{"k --ttl 1ms -- true", 1, "TTL"},
	} {
		words := strings.Fields(strings.ReplaceAll(tc.args, "-n 3", "--n 3"))
		if i := strings.Index(tc.args, "\t"); i >= 0 { // a word with blanks
			before := strings.LastIndexByte(tc.args[:i], ' ')
			words = append(strings.Fields(tc.args[:before]), strings.ReplaceAll(tc.args[before+1:], "\t", " "))
		}
		if stderr, status := lock(words...); status != tc.status || !strings.Contains(stderr, tc.want) || tc.want == "" && stderr != "" {
			t.Errorf("lock %s: status %d, want %d; %s", tc.args, status, tc.status, stderr)
		}
	}
	err := c.WithLock(t.Context(), "k", client.LockOptions{}, func(context.Context) error {
		for _, how := range [][]string{{"--try"}, {"--wait", "100ms"}} {
			if stderr, status := lock(append(how, "k", "--", "true")...); status != statusLockHeld || !strings.Contains(stderr, `"k"`) {
				t.Errorf("%v while it is held: status %d, %s", how, status, stderr)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLocksOfCommandsExclude runs many commands that can only run one at a time.
func TestLocksOfCommandsExclude(t *testing.T) {
	url, _ := door(t)
	dir := filepath.Join(t.TempDir(), "inside")
	script := fmt.Sprintf("mkdir %[1]s && sleep 0.01 && rmdir %[1]s", dir)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if _, stderr, status := run("lock", "jobs/a", "--server", url, "--", "sh", "-c", script); status != 0 {
				t.Errorf("status %d: %s", status, stderr)
			}
		})
	}
	wg.Wait()
}

// TestLockThatIsLost ends the command, with what it started.
func TestLockThatIsLost(t *testing.T) {
	for name, tc := range map[string]struct{ script, want string }{
		"it ends":     {`trap "echo asked >> $OUT; exit 0" TERM; echo up >> $OUT; while :; do sleep 0.02; done`, "up\nasked\n"},
		"it does not": {`trap "echo asked >> $OUT" TERM; echo up >> $OUT; while :; do sleep 0.02; done`, "up\nasked\n"},
	} {
		t.Run(name, func(t *testing.T) {
			url, c := door(t)
			out := filepath.Join(t.TempDir(), "out")
			script := strings.ReplaceAll(tc.script, "$OUT", out)
			done := make(chan int)
			go func() {
				_, _, status := run("lock", "k", "--server", url, "--ttl", "2s", "--grace", "300ms", "--", "sh", "-c", script)
				done <- status
			}()
			for destroyed := false; !destroyed; {
				<-time.After(5 * time.Millisecond)
				if b, _ := os.ReadFile(out); len(b) > 0 {
					destroySessions(t, c)
					destroyed = true
				}
			}
			if status := <-done; status != statusLockLost {
				t.Errorf("status %d, want %d", status, statusLockLost)
			}
			if b, err := os.ReadFile(out); err != nil || string(b) != tc.want {
				t.Errorf("the command wrote %q, want %q (%v)", b, tc.want, err)
			}
		})
	}
}

// destroySessions ends every session.
func destroySessions(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for d, err := range c.Follow(ctx, "/v1/session/list", nil, client.ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		var all []struct{ ID string }
		if err := json.Unmarshal(d.JSON, &all); err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if err := c.DestroySession(ctx, s.ID); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
}
