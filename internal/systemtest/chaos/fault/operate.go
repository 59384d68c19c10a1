//go:build linux

package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"herald/internal/systemtest/chaos/lab"
	"herald/registry"
)

const (
	// operateTimeout bounds one thing that an operator does.
	operateTimeout = 10 * time.Second
	// rejoinTimeout is how long a server may take to vote again after it was let in anew.
	rejoinTimeout = 60 * time.Second
)

// noEffect says that an operator's request failed in an allowed way, so that nothing
// came of it: the cluster had no leader, or was changing.
func noEffect(err error) bool {
	for _, allowed := range []error{registry.ErrNoLeader, registry.ErrUnavailable, registry.ErrTimeout, registry.ErrMembership,
		registry.ErrDiskFull, registry.ErrStopped, registry.ErrCompacted, registry.ErrFutureRevision, context.DeadlineExceeded} {
		if errors.Is(err, allowed) {
			return true
		}
	}
	return false
}

// replaceMember takes the target out of the cluster, and lets it in again: as the server that
// it was, or with an empty disk as a new one.
func replaceMember(ctx context.Context, a *act) (func() error, error) {
	others := a.others()
	through := others[a.rand.IntN(len(others))]
	opCtx, cancel := context.WithTimeout(ctx, operateTimeout)
	defer cancel()
	status, err := a.client(a.target).Status(opCtx)
	if err != nil {
		a.note = "not asked: " + err.Error()
		return nil, nil
	}
	leaves := a.rand.IntN(2) == 0
	if leaves {
		err = a.client(a.target).Leave(opCtx)
	} else {
		err = a.client(through).Remove(opCtx, status.ID)
	}
	if err != nil && !noEffect(err) {
		return nil, fmt.Errorf("take %s out of the cluster: %w", a.target.Name, err)
	}
	if err != nil {
		a.note = "perhaps not taken out: " + err.Error()
	}
	anew := a.rand.IntN(2) == 0
	return func() error {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := a.target.Stop(stopCtx); err != nil {
			return err
		}
		if anew {
			// Not removed for certain, it must keep what it promised.
			if err != nil {
				anew = false
			} else if err := os.RemoveAll(a.target.DataDir()); err != nil {
				return err
			}
		}
		if err := a.target.Start(); err != nil {
			return err
		}
		return a.rejoined(ctx, a.target)
	}, nil
}

// rejoined waits until a server votes.
func (a *act) rejoined(ctx context.Context, n *lab.Node) error {
	var why error
	for begin := time.Now(); time.Since(begin) < rejoinTimeout; pause(ctx, poll) {
		if ctx.Err() != nil {
			return nil // the run is over; Whole waits for it
		}
		a.revive()
		if why = a.votes(ctx, n); why == nil {
			return nil
		}
	}
	return fmt.Errorf("%s does not vote again within %v: %w", n.Name, rejoinTimeout, why)
}

func (a *act) votes(ctx context.Context, n *lab.Node) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	status, err := a.client(n).Status(ctx)
	if err != nil {
		return err
	}
	members, err := a.client(n).Members(ctx)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.ID == status.ID && m.Suffrage == registry.Voter {
			return nil
		}
	}
	return fmt.Errorf("as server %s it is not among those that vote: %+v", status.ID, members)
}

// transfer hands leadership to the target, or to whoever is closest behind.
func transfer(ctx context.Context, a *act) (func() error, error) {
	ctx, cancel := context.WithTimeout(ctx, operateTimeout)
	defer cancel()
	to := ""
	if a.rand.IntN(2) == 0 {
		status, err := a.client(a.target).Status(ctx)
		if err != nil {
			a.note = "not asked: " + err.Error()
			return nil, nil
		}
		to = status.ID
	}
	nodes := a.Lab.Nodes()
	through := nodes[a.rand.IntN(len(nodes))]
	return nil, a.excuse(a.client(through).Transfer(ctx, to))
}

// compact gives up most of the history of what users put.
func compact(ctx context.Context, a *act) (func() error, error) {
	ctx, cancel := context.WithTimeout(ctx, operateTimeout)
	defer cancel()
	client := a.client(a.target)
	status, err := client.Status(ctx)
	if err != nil {
		a.note = "not asked: " + err.Error()
		return nil, nil
	}
	rev := status.Revisions[registry.SpaceKV] - a.rand.Int64N(200)
	if rev < 1 {
		return nil, nil
	}
	a.note = fmt.Sprintf("to revision %d", rev)
	return nil, a.excuse(client.Compact(ctx, registry.SpaceKV, rev))
}

// saveSnapshot saves an archive through the target.
func saveSnapshot(ctx context.Context, a *act) (func() error, error) {
	ctx, cancel := context.WithTimeout(ctx, operateTimeout)
	defer cancel()
	stale := a.rand.IntN(2) == 0
	archive, info, err := a.client(a.target).Save(ctx, stale)
	if err == nil {
		a.note = fmt.Sprintf("%d bytes at revision %d", len(archive), info.Revisions[registry.SpaceKV])
		if len(archive) == 0 {
			return nil, errors.New("a snapshot was saved without error, and is empty")
		}
	}
	return nil, a.excuse(err)
}

// excuse notes an error that a fault elsewhere excuses, and returns any other.
func (a *act) excuse(err error) error {
	if err == nil || !noEffect(err) {
		return err
	}
	a.note = "nothing came of it: " + err.Error()
	return nil
}
