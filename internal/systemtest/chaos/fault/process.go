//go:build linux

package fault

import (
	"context"
	"errors"
	"time"

	"herald/internal/systemtest/chaos/lab"
)

// stopTimeout is how long a server may take to end in order.
const stopTimeout = 20 * time.Second

func kill(_ context.Context, a *act) (func() error, error) {
	return func() error { return a.target.Start() }, a.target.Kill()
}

// restart ends a process in order and starts it, as an upgrade does.
func restart(ctx context.Context, a *act) (func() error, error) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return func() error { return a.target.Start() }, a.target.Stop(ctx)
}

func pauseProcess(_ context.Context, a *act) (func() error, error) {
	return a.target.Resume, a.target.Pause()
}

// loseMajority takes all nodes but one, some by killing, some by freezing them.
func loseMajority(_ context.Context, a *act) (func() error, error) {
	var errs []error
	var ends []func() error
	for _, n := range a.others() {
		if a.rand.IntN(2) == 0 {
			errs = append(errs, n.Kill())
			ends = append(ends, func() error { return n.Start() })
		} else {
			errs = append(errs, n.Pause())
			ends = append(ends, n.Resume)
		}
	}
	return func() error {
		var errs []error
		for _, end := range ends {
			errs = append(errs, end())
		}
		return errors.Join(errs...)
	}, errors.Join(errs...)
}

// killAll kills all nodes as one power failure would.
func killAll(_ context.Context, a *act) (func() error, error) {
	each := func(do func(*lab.Node) error) error {
		var errs []error
		for _, n := range a.Lab.Nodes() {
			errs = append(errs, do(n))
		}
		return errors.Join(errs...)
	}
	return func() error { return each(func(n *lab.Node) error { return n.Start() }) }, each((*lab.Node).Kill)
}
