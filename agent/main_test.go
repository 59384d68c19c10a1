package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"herald/agent/check"
	"herald/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var node = registry.Node{Name: "n1", ID: "3f2c8a52-9d1d-4b7e-8f7e-0d7e5a3c1b11", Address: "10.0.0.1"}

func config() Config {
	c := DefaultConfig()
	c.Node = node
	return c
}

// scripted is a kind of check that finds what the test says. Its spec is one
// field, say, which names a script.
type scripted struct {
	mu   sync.Mutex
	says map[string]finding
	runs map[string][]time.Time
	// hook is called in each run, before its finding is taken.
	hook func(ctx context.Context, script string)
}

type finding struct {
	status registry.HealthStatus
	output string
}

func newScripted() *scripted {
	return &scripted{says: map[string]finding{}, runs: map[string][]time.Time{}}
}

func (s *scripted) say(script string, status registry.HealthStatus, output string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says[script] = finding{status, output}
}

func (s *scripted) ran(script string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.runs[script]...)
}

func (s *scripted) new(d registry.CheckDefinition) (registry.Checker, error) {
	script, ok := d.Spec["say"].(string)
	if !ok {
		return nil, fmt.Errorf("%w: say is missing", registry.ErrInvalidDefinition)
	}
	return scriptedCheck{s, script}, nil
}

type scriptedCheck struct {
	s      *scripted
	script string
}

func (c scriptedCheck) Check(ctx context.Context) (registry.HealthStatus, string) {
	c.s.mu.Lock()
	hook := c.s.hook
	c.s.runs[c.script] = append(c.s.runs[c.script], time.Now())
	c.s.mu.Unlock()
	if hook != nil {
		hook(ctx, c.script)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	f := c.s.says[c.script]
	return f.status, f.output
}

func (s *scripted) kinds() map[string]registry.NewChecker {
	return map[string]registry.NewChecker{
		"scripted": s.new, "http": check.NewHTTP, "tcp": check.NewTCP, "exec": check.NewExec, "ttl": check.NewTTL,
	}
}

// scriptedDef is a check of the scripted kind, run every second.
func scriptedDef(id, script string) registry.CheckDefinition {
	return registry.CheckDefinition{ID: id, Kind: "scripted", Interval: time.Second, Spec: map[string]any{"say": script}}
}

// journal is a log that a test can read.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, string(p))
	return len(p), nil
}

func (j *journal) log() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

func (j *journal) count(parts ...string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, line := range j.lines {
		found := true
		for _, p := range parts {
			found = found && strings.Contains(line, p)
		}
		if found {
			n++
		}
	}
	return n
}

func newAgent(t *testing.T, cfg Config, up Upstream, kinds map[string]registry.NewChecker) *Agent {
	t.Helper()
	a, err := New(cfg, up, kinds, nil)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return a
}

// start runs an agent; stop ends it and waits, and is called by the test's end if
// not before.
func start(t *testing.T, a *Agent) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func register(t *testing.T, a *Agent, d registry.ServiceDefinition) {
	t.Helper()
	if _, err := a.RegisterService(t.Context(), d, false); err != nil {
		t.Fatalf("RegisterService(%s): %v", d.Name, err)
	}
}

func wantErr(t *testing.T, what string, err, want error, parts ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error is %v, want %v", what, err, want)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %q does not say %q", what, err, p)
		}
	}
}

// pass lets fake time go by and everything settle.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
