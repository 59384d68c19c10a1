//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"herald/internal/systemtest/chaos/check"
	"herald/internal/systemtest/chaos/fault"
	"herald/internal/systemtest/chaos/workload"
)

// bug is one that is planted in the product behind a build tag, to show that the run would find one
// like it.
type bug struct {
	name string
	// check is which one has to find it.
	check string
	// workloads and faults are those that meet it.
	workloads []workload.Kind
	faults    []string
	tune      func(*workload.Config)
}

// bugs are all of them.
var bugs = []bug{
	{name: "stale-read", check: "kv", workloads: []workload.Kind{workload.KV},
		faults: []string{"isolate", "deaf", "pause"}},
	{name: "lost-write", check: "acks", workloads: []workload.Kind{workload.Acks},
		faults: []string{"pause", "kill"}},
	{name: "watch-drop", check: "watches", workloads: []workload.Kind{workload.KV, workload.Acks, workload.Watches},
		faults: []string{"kill", "pause"}, tune: hasten},
	{name: "watch-dup", check: "watches", workloads: []workload.Kind{workload.KV, workload.Acks, workload.Watches},
		faults: []string{"kill", "pause"}, tune: hasten},
	{name: "lease-early", check: "leases", workloads: []workload.Kind{workload.Leases},
		faults: []string{"kill", "transfer"}, tune: func(c *workload.Config) { c.Clients = 12 }},
	{name: "txn-blind", check: "kv", workloads: []workload.Kind{workload.KV},
		faults: []string{"transfer"}, tune: hasten},
	{name: "wake-late", check: "polls", workloads: []workload.Kind{workload.KV, workload.Watches},
		faults: []string{"transfer"}, tune: func(c *workload.Config) { c.Pause = 300 * time.Millisecond }},
	{name: "health-sleep", check: "polls", workloads: []workload.Kind{workload.KV, workload.Watches, workload.Services},
		faults: []string{"transfer"}, tune: func(c *workload.Config) { c.Pause = 200 * time.Millisecond }},
	{name: "session-twice", check: "sessions", workloads: []workload.Kind{workload.Locks},
		faults: []string{"transfer"}},
	{name: "lock-delay", check: "sessions", workloads: []workload.Kind{workload.Locks},
		faults: []string{"transfer"}},
	{name: "lock-twice", check: "locks", workloads: []workload.Kind{workload.Locks},
		faults: []string{"transfer"}, tune: hasten},
}

// hasten has more written, so that watchers fall behind on a busy machine, too.
func hasten(c *workload.Config) { c.Clients, c.Pause = 12, 2*time.Millisecond }

func bugNamed(name string) (bug, error) {
	i := slices.IndexFunc(bugs, func(b bug) bool { return b.name == name })
	if i < 0 {
		var names []string
		for _, b := range bugs {
			names = append(names, b.name)
		}
		return bug{}, fmt.Errorf("no bug is called %q; there are %s", name, strings.Join(names, ", "))
	}
	return bugs[i], nil
}

// focus makes a plan that meets the bug.
func (b *bug) focus(p *plan) {
	p.clients.Kinds = b.workloads
	p.faults.Rest = time.Second
	p.patience = bugPatience
	p.faults.Kinds, _ = fault.Named(b.faults...)
	if b.tune != nil {
		b.tune(&p.clients)
	}
}

// efforts are how long a planted bug is looked for before it counts as missed.
var efforts = []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second}

// catch plants a bug and fails unless its check finds it.
func catch(ctx context.Context, s settings, b bug) error {
	work, err := os.MkdirTemp("", "herald-chaos-bug-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	s.bug = b.name
	s.binary = filepath.Join(work, "herald")
	if err := build(ctx, s.binary, tags(b.name), s.race); err != nil {
		return err
	}
	for i, effort := range efforts {
		s.duration, s.keep = effort, filepath.Join(work, fmt.Sprintf("history-%d", i))
		s.seed += uint64(i)
		err := inLab(ctx, s)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !errors.Is(err, errBroken):
			return err
		}
		report, err := check.All(s.keep)
		if err != nil {
			return err
		}
		if v := violation(report, b.check); v != nil {
			fmt.Printf("%s: caught by the check %q after %v:\n    %s\n", b.name, b.check, effort, v.What)
			for _, proof := range v.Proof {
				fmt.Printf("    %.160s\n", proof)
			}
			return nil
		}
		fmt.Printf("%s: not seen by the check %q within %v\n", b.name, b.check, effort)
	}
	return fmt.Errorf("planted bug %s: NOT caught by the check %q", b.name, b.check)
}

// violation is the first that a check found, or nil.
func violation(r *check.Report, name string) *check.Violation {
	for i := range r.Verdicts {
		if v := &r.Verdicts[i]; v.Check == name && len(v.Violations) > 0 {
			return &v.Violations[0]
		}
	}
	return nil
}

// catchAll plants every bug, each on its own.
func catchAll(ctx context.Context, s settings) error {
	var errs []error
	for _, b := range bugs {
		if err := catch(ctx, s, b); err != nil {
			errs = append(errs, err)
			fmt.Println(err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Printf("all %d planted bugs were caught\n", len(bugs))
	return nil
}
