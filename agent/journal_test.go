package agent

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

// TestLoggedOutput: the log gets the beginning of a long output, the catalog all.
func TestLoggedOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, script, log := newFake(), newScripted(), &journal{}
		long := strings.Repeat("o", 4000)
		script.say("x", registry.Passing, long)
		a, err := New(config(), up, script.kinds(), log.log())
		if err != nil {
			t.Fatal(err)
		}
		start(t, a)
		register(t, a, offer("web", scriptedDef("run", "x"), ttlDef("told", "")))
		if err := a.UpdateTTL(t.Context(), "told", registry.Passing, long); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute) // the ttl check expires
		for what, want := range map[string]int{"check=run": 1, "check=told": 2} {
			if n := log.count("check changed", what, "service=web"); n != want {
				t.Errorf("%s was told %d times, want %d", what, n, want)
			}
			if n := log.count(what, strings.Repeat("o", 100)); n != want {
				t.Errorf("%s was told with output %d times, want %d", what, n, want)
			}
			if n := log.count(what, strings.Repeat("o", loggedOutput+1)); n != 0 {
				t.Errorf("%s was told with all of its output", what)
			}
		}
		if c, ok := up.check("run"); !ok || c.Output != long {
			t.Errorf("the catalog has %d bytes of output, want %d", len(c.Output), len(long))
		}
	})
}

// TestReapOfTheRecovered: a check that recovers while its service waits to be
// withdrawn keeps it, and the log does not say otherwise.
func TestReapOfTheRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script, log := newScripted(), &journal{}
		a, err := New(config(), newFake(), script.kinds(), log.log())
		if err != nil {
			t.Fatal(err)
		}
		script.say("x", registry.Critical, "")
		script.say("y", registry.Passing, "")
		for _, s := range []string{"x", "y"} {
			d := scriptedDef(s, s)
			d.DeregisterAfter = reapAfterMin
			register(t, a, offer(s, d))
		}
		start(t, a)
		pass(reapAfterMin - 10*time.Second)
		a.reapService(t.Context(), "y")
		a.reapService(t.Context(), "x") // not yet
		if n := log.count("service deregistered"); n != 0 || len(a.Services()) != 2 {
			t.Errorf("%d times told, %d services left, want none and both", n, len(a.Services()))
		}
		pass(10*time.Second + reapEvery)
		if log.count("service deregistered", "service=x") != 1 || log.count("service deregistered") != 1 || len(a.Services()) != 1 {
			t.Errorf("the service that was due was not withdrawn and told, once: %d left", len(a.Services()))
		}
	})
}

// TestForgetfulStart: an agent says at its start whether registrations outlive it.
func TestForgetfulStart(t *testing.T) {
	for dir, want := range map[string]int{"": 1, t.TempDir(): 0} {
		synctest.Test(t, func(t *testing.T) {
			log := &journal{}
			cfg := config()
			cfg.DataDir = dir
			a, err := New(cfg, newFake(), nil, log.log())
			if err != nil {
				t.Fatal(err)
			}
			start(t, a)
			synctest.Wait()
			if n := log.count("level=INFO", "forgotten at exit"); n != want {
				t.Errorf("data directory %q: told %d times, want %d", dir, n, want)
			}
		})
	}
}

// TestDurationsAreText looks at the log as JSON, where a time.Duration is a number.
func TestDurationsAreText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, log := newFake(), &journal{}
		a, err := New(config(), up, nil, slog.New(slog.NewJSONHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, a)
		pass(time.Second)
		up.setFault(down)
		stop()
		for _, line := range []string{"lease granted", "lease cannot be revoked"} {
			if log.count(line, `"ttl":"15s"`) != 1 {
				t.Errorf("%q does not say the ttl as text", line)
			}
		}
	})
}
