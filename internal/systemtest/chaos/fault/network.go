//go:build linux

package fault

import (
	"context"
	"time"

	"herald/internal/systemtest/chaos/lab"
)

func (a *act) healWires() error { return a.Lab.SetCuts() }

// isolate leaves the target alone.
func isolate(_ context.Context, a *act) (func() error, error) {
	return a.healWires, a.Lab.SetCuts(lab.Apart([]*lab.Node{a.target}, a.others())...)
}

// deaf makes the target hear nobody, while what it sends arrives.
func deaf(_ context.Context, a *act) (func() error, error) {
	var cuts []lab.Cut
	for _, n := range a.others() {
		cuts = append(cuts, lab.Cut{From: n, To: a.target})
	}
	return a.healWires, a.Lab.SetCuts(cuts...)
}

// mute makes what the target sends arrive nowhere, while it hears all.
func mute(_ context.Context, a *act) (func() error, error) {
	var cuts []lab.Cut
	for _, n := range a.others() {
		cuts = append(cuts, lab.Cut{From: a.target, To: n})
	}
	return a.healWires, a.Lab.SetCuts(cuts...)
}

// brokenWire cuts the target off from one other node, while both reach the rest.
func brokenWire(_ context.Context, a *act) (func() error, error) {
	others := a.others()
	other := others[a.rand.IntN(len(others))]
	a.note = "to " + other.Name
	return a.healWires, a.Lab.SetCuts(lab.Apart([]*lab.Node{a.target}, []*lab.Node{other})...)
}

// flap isolates the target and heals it, again and again, as long as the fault lasts.
func flap(ctx context.Context, a *act) (func() error, error) {
	cuts := lab.Apart([]*lab.Node{a.target}, a.others())
	for begin := time.Now(); time.Since(begin) < a.lasts && ctx.Err() == nil; {
		if err := a.Lab.SetCuts(cuts...); err != nil {
			return a.healWires, err
		}
		pause(ctx, between(a.rand, 100*time.Millisecond, time.Second))
		if err := a.Lab.SetCuts(); err != nil {
			return a.healWires, err
		}
		pause(ctx, between(a.rand, 50*time.Millisecond, 500*time.Millisecond))
	}
	a.lasts = 0
	return a.healWires, nil
}
