package agent

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

func offer(name string, checks ...registry.CheckDefinition) registry.ServiceDefinition {
	return registry.ServiceDefinition{Name: name, Checks: checks}
}

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, script := newFake(), newScripted()
		script.say("x", registry.Passing, "ok")
		a := newAgent(t, config(), up, script.kinds())
		d := scriptedDef("c", "x")
		d.Interval = 10 * time.Second
		register(t, a, offer("web", d))
		began := time.Now()
		stop := start(t, a)
		pass(time.Minute)
		ran := script.ran("x")
		// The first within a second, the second within an interval, then one an interval.
		if len(ran) < 6 || len(ran) > 8 {
			t.Fatalf("it ran %d times in a minute", len(ran))
		}
		if first := ran[0].Sub(began); first > firstRunWithin {
			t.Errorf("first run after %v", first)
		}
		if second := ran[1].Sub(ran[0]); second > 10*time.Second {
			t.Errorf("second run %v after the first", second)
		}
		for i := 2; i < len(ran); i++ {
			if gap := ran[i].Sub(ran[i-1]); gap != 10*time.Second {
				t.Errorf("run %d came %v after the one before, want 10s", i, gap)
			}
		}
		// Nothing runs once the service is gone, or the agent has stopped.
		if err := a.DeregisterService(t.Context(), "web"); err != nil {
			t.Fatal(err)
		}
		n := len(script.ran("x"))
		pass(time.Minute)
		register(t, a, offer("web", d))
		stop()
		pass(time.Minute)
		if got := len(script.ran("x")); got > n+1 {
			t.Errorf("it ran %d more times", got-n)
		}
	})
}

// TestFirstPassingCheckIsFound is the promise of 100 ms, less what the store takes.
func TestFirstPassingCheckIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, script := newFake(), newScripted()
		script.say("x", registry.Passing, "ok")
		a := newAgent(t, config(), up, script.kinds())
		start(t, a)
		pass(time.Minute)
		register(t, a, offer("web", scriptedDef("c", "x")))
		synctest.Wait()
		if got := up.has(); got != "check c critical, service web" {
			t.Errorf("at once the catalog has %q", got)
		}
		for len(script.ran("x")) == 0 {
			pass(time.Millisecond)
		}
		synctest.Wait()
		if got := up.has(); got != "check c passing, service web" {
			t.Errorf("as soon as the check has run the catalog has %q", got)
		}
	})
}

// TestEdges checks that only changes of status are advertised at once.
func TestEdges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, script := newFake(), newScripted()
		n := 0
		script.hook = func(context.Context, string) { // a different output every time
			n++
			script.say("x", registry.Passing, fmt.Sprintf("run %d", n))
		}
		a := newAgent(t, config(), up, script.kinds())
		start(t, a)
		register(t, a, offer("web", scriptedDef("c", "x")))
		pass(10 * time.Second)
		up.take()
		shown, _ := up.check("c")
		pass(4 * time.Minute)
		wrote := 0
		for _, c := range up.take("advertise") {
			wrote += c.wrote
		}
		if wrote != 0 {
			t.Errorf("%d records were written in 4 minutes of changing output", wrote)
		}
		if now, _ := up.check("c"); now.Output != shown.Output || now.Output == "" {
			t.Errorf("output advertised went from %q to %q", shown.Output, now.Output)
		}
		if c := a.Checks()[0].Check; c.Output == shown.Output || !strings.HasPrefix(c.Output, "run 2") {
			t.Errorf("local output is %q, want the newest", c.Output)
		}
		pass(2 * time.Minute)
		if now, _ := up.check("c"); now.Output == shown.Output {
			t.Errorf("output advertised after 6 minutes is still %q", now.Output)
		}
		// A change of status takes the newest output along.
		script.mu.Lock()
		script.hook = nil
		script.mu.Unlock()
		script.say("x", registry.Critical, "dead")
		pass(time.Second)
		if now, _ := up.check("c"); now.Status != registry.Critical || now.Output != "dead" {
			t.Errorf("advertised is %+v", now)
		}
	})
}

func TestThresholdsOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, script := newFake(), newScripted()
		script.say("x", registry.Critical, "")
		d := scriptedDef("c", "x")
		d.SuccessBeforePassing, d.FailuresBeforeCritical = 3, 2
		a := newAgent(t, config(), up, script.kinds())
		start(t, a)
		register(t, a, offer("web", d))
		until := func(want registry.HealthStatus) (runs int) {
			before := len(script.ran("x"))
			for a.Checks()[0].Check.Status != want {
				pass(time.Millisecond)
			}
			return len(script.ran("x")) - before
		}
		pass(3 * time.Second)
		script.say("x", registry.Passing, "")
		if n := until(registry.Passing); n != 3 {
			t.Errorf("passing after %d results, want 3", n)
		}
		script.say("x", registry.Critical, "")
		if n := until(registry.Critical); n != 2 {
			t.Errorf("critical after %d results, want 2", n)
		}
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := newScripted()
		script.say("x", registry.Critical, "time is up")
		var took []time.Duration
		script.hook = func(ctx context.Context, _ string) {
			began := time.Now()
			<-ctx.Done()
			took = append(took, time.Since(began))
		}
		d := scriptedDef("c", "x")
		d.Interval, d.Timeout = 10*time.Second, 3*time.Second
		a := newAgent(t, config(), newFake(), script.kinds())
		register(t, a, offer("web", d))
		stop := start(t, a)
		pass(35 * time.Second)
		if len(took) < 3 {
			t.Fatalf("it ran %d times", len(took))
		}
		for _, d := range took {
			if d != 3*time.Second {
				t.Errorf("a run was ended after %v, want 3s", d)
			}
		}
		ran := script.ran("x")
		for i := 2; i < len(ran); i++ {
			if gap := ran[i].Sub(ran[i-1]); gap != 10*time.Second {
				t.Errorf("runs are %v apart, want the interval", gap)
			}
		}
		// A stop does not wait for a run to time out, and takes no verdict from it.
		for len(script.ran("x")) == len(ran) {
			pass(time.Millisecond)
		}
		began := time.Now()
		stop()
		if d := time.Since(began); d > time.Millisecond {
			t.Errorf("stopping took %v", d)
		}
	})
}

// TestStandstill has a process that was stopped in the middle of a run: the run's time
// is up when it goes on, which says nothing about the service.
func TestStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := newScripted()
		script.say("x", registry.Passing, "")
		d := scriptedDef("c", "x")
		d.Timeout = time.Second
		a := newAgent(t, config(), newFake(), script.kinds())
		register(t, a, offer("web", d))
		start(t, a)
		pass(5 * time.Second)

		stand := func(ctx context.Context, n *int) {
			*n++
			if *n == 1 {
				<-time.After(time.Minute) // whatever its context says
				script.say("x", registry.Critical, "time is up")
				return
			}
			script.say("x", registry.Passing, "")
		}
		n := 0
		script.mu.Lock()
		script.hook = func(ctx context.Context, _ string) { stand(ctx, &n) }
		script.mu.Unlock()
		generation := a.state.generation
		pass(2 * time.Minute)
		if c := a.Checks()[0].Check; c.Status != registry.Passing || a.state.generation != generation {
			t.Errorf("after the standstill the check is %+v", c)
		}
		// A kind that always overstays is no standstill, and gets its verdict.
		script.mu.Lock()
		script.hook = func(context.Context, string) {
			<-time.After(time.Minute)
			script.say("x", registry.Critical, "slow")
		}
		script.mu.Unlock()
		pass(5 * time.Minute)
		if c := a.Checks()[0].Check; c.Status != registry.Critical {
			t.Errorf("the check that overstays is %+v", c)
		}
	})
}

func TestFaultyKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := newScripted()
		script.hook = func(_ context.Context, s string) {
			if s == "panics" {
				panic("oh no")
			}
		}
		script.say("odd", "fine", "x")
		script.say("long", registry.Passing, strings.Repeat("é", 5000))
		log := &journal{}
		a, err := New(config(), newFake(), script.kinds(), log.log())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"panics", "odd", "long"} {
			register(t, a, offer(s, scriptedDef("", s)))
		}
		start(t, a)
		pass(3 * time.Second)
		cs := a.Checks()
		if c := cs[0].Check; c.Status != registry.Passing || len(c.Output) != 4096 {
			t.Errorf("long output: %s with %d bytes", c.Status, len(c.Output))
		}
		if c := cs[1].Check; c.Status != registry.Critical || !strings.Contains(c.Output, `"fine"`) {
			t.Errorf("odd status: %+v", c)
		}
		if c := cs[2].Check; c.Status != registry.Critical || !strings.Contains(c.Output, "oh no") {
			t.Errorf("panic: %+v", c)
		}
		if log.count("panicked", "oh no", "stack") == 0 {
			t.Error("the panic was not logged")
		}
	})
}

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := newScripted()
		script.say("x", registry.Warning, "")
		var runs, advertised, kept int
		cfg := config()
		cfg.Hooks = Hooks{
			CheckRun: func(kind string, found registry.HealthStatus, _ time.Duration) {
				if kind == "scripted" && found == registry.Warning {
					runs++
				}
			},
			Advertised: func(_ time.Duration, err error) {
				if err == nil {
					advertised++
				}
			},
			KeptAlive: func(_ time.Duration, err error) {
				if err == nil {
					kept++
				}
			},
		}
		a := newAgent(t, cfg, newFake(), script.kinds())
		register(t, a, offer("web", scriptedDef("c", "x")))
		start(t, a)
		pass(20 * time.Second)
		if runs < 19 || advertised < 2 || kept < 4 {
			t.Errorf("%d runs, %d times advertised, %d lease calls", runs, advertised, kept)
		}
	})
}
