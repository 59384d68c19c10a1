package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"herald/agent/check"
	"herald/registry"
)

const (
	// firstRunWithin is when a check runs first, at the latest: soon enough to be
	// found at once, and not all of them in the same moment.
	firstRunWithin = time.Second
	// stallSlack is how much later than it should a timer may fire before the process
	// is taken to have been stopped (SIGSTOP, a suspended machine) meanwhile.
	stallSlack = time.Second
)

// startLocked gives a check its goroutine, if Run is under way and the kind has
// one. state.mu is held.
func (a *Agent) startLocked(c *healthCheck) {
	if a.running == nil || c.run.stop != nil || c.run.ended {
		return
	}
	var loop func(context.Context)
	// What the goroutine needs is immutable or shared by all checks of the run, so
	// it does not matter that c may be replaced by another that shares the run.
	def, r, checker := c.def, c.run, c.checker
	switch {
	case def.Kind == check.TTL:
		loop = func(ctx context.Context) { a.runTTL(ctx, &def, r) }
	case def.Kind == check.Alias:
		service, node := check.Aliased(&def)
		if a.state.isLocal(node) {
			return // followed where the others change
		}
		loop = func(ctx context.Context) { a.followRemote(ctx, &def, r, node, service) }
	case checker != nil:
		loop = func(ctx context.Context) { a.runChecker(ctx, &def, r, checker) }
	default:
		return
	}
	ctx, stop := context.WithCancel(a.running)
	r.stop = stop
	a.checkers.Go(func() { loop(ctx) })
}

// runChecker runs one check until ctx ends: first after a part of a second, then
// at intervals whose phase is random, so that the checks of machines that were
// started together do not stay in step.
func (a *Agent) runChecker(ctx context.Context, def *registry.CheckDefinition, r *run, checker registry.Checker) {
	if !sleep(ctx, rand.N(min(def.Interval, firstRunWithin))) {
		return
	}
	phase := rand.N(def.Interval)
	for rerun := false; ; {
		started := time.Now()
		found, output := a.runOnce(ctx, def, checker)
		took := time.Since(started)
		if ctx.Err() != nil {
			return // what a stopped run says is not about the service
		}
		if a.cfg.Hooks.CheckRun != nil {
			a.cfg.Hooks.CheckRun(def.Kind, found, took)
		}
		if found != registry.Passing && took > def.Timeout+stallSlack && !rerun {
			// The process stood still and the run's time went by meanwhile: that says
			// nothing about the service. Once, lest a checker that overstays its
			// timeout be run for ever without a verdict.
			rerun = true
			continue
		}
		rerun = false
		a.noteResult(def, r, found, output)

		wait := def.Interval - took
		if phase > 0 {
			wait, phase = phase, 0
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// runOnce runs a checker within its timeout. A checker that panics is critical: one
// faulty kind must not end the agent, and with it every service here.
func (a *Agent) runOnce(ctx context.Context, def *registry.CheckDefinition, checker registry.Checker) (found registry.HealthStatus, output string) {
	ctx, cancel := context.WithTimeout(ctx, def.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			a.log.Error("check panicked", "check", def.ID, "kind", def.Kind, "panic", p, "stack", string(debug.Stack()))
			found, output = registry.Critical, fmt.Sprintf("the check of kind %s panicked: %v", def.Kind, p)
		}
	}()
	found, output = checker.Check(ctx)
	if !found.Valid() {
		found, output = registry.Critical, fmt.Sprintf("the check of kind %s found status %q, which is none: %s", def.Kind, string(found), output)
	}
	return found, check.Cut(output, def.OutputMaxSize)
}

// noteResult takes a result into the state.
func (a *Agent) noteResult(def *registry.CheckDefinition, r *run, found registry.HealthStatus, output string) {
	s := &a.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.ended {
		return
	}
	if s.setLocked(def, r, r.tally.next(def, r.status, found), output, time.Now()) {
		a.wakeAdvertise()
	}
}

// tellChange logs a change of status, with as much of the output as fits a line.
func (a *Agent) tellChange(def *registry.CheckDefinition, before, now registry.HealthStatus, output string) {
	a.log.Info("check changed", "check", def.ID, "service", def.ServiceID, "from", before, "to", now,
		"output", check.Cut(output, loggedOutput))
}

// sleep waits for d, and reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
