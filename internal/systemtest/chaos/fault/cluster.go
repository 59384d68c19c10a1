//go:build linux

package fault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"herald/internal/systemtest/chaos/chaosdoor"
	"herald/internal/systemtest/chaos/history"
	"herald/internal/systemtest/chaos/lab"
	"herald/registry"
)

const (
	// askTimeout bounds one question about how a server is.
	askTimeout = 500 * time.Millisecond
	// poll is how often it is looked again whether something has come about.
	poll = 50 * time.Millisecond
)

// Cluster is the servers of a lab, as operators and onlookers see them.
type Cluster struct {
	Lab     *lab.Lab
	Clients []*chaosdoor.Client // of each node, in the lab's order
	Record  *history.Recorder
	Log     *slog.Logger
}

func (c *Cluster) client(n *lab.Node) *chaosdoor.Client {
	return c.Clients[slices.Index(c.Lab.Nodes(), n)]
}

// Statuses asks every server how it is; a zero Status is one that did not answer.
func (c *Cluster) Statuses(ctx context.Context) []registry.Status {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	all := make([]registry.Status, len(c.Clients))
	var wg sync.WaitGroup
	for i, client := range c.Clients {
		wg.Go(func() { all[i], _ = client.Status(ctx) })
	}
	wg.Wait()
	return all
}

// Leader is the node that says that it leads, in the latest term if several do, or nil.
func (c *Cluster) Leader(ctx context.Context) *lab.Node {
	var leader *lab.Node
	var term uint64
	for i, s := range c.Statuses(ctx) {
		if s.IsLeader && s.Term > term {
			leader, term = c.Lab.Nodes()[i], s.Term
		}
	}
	return leader
}

// Whole waits until every node votes, follows one leader and has applied all that was
// committed when it was asked first. Nodes whose process does not run are started.
func (c *Cluster) Whole(ctx context.Context, within time.Duration) error {
	var why error
	for begin := time.Now(); time.Since(begin) < within && ctx.Err() == nil; pause(ctx, poll) {
		c.revive()
		if why = c.whole(ctx); why == nil {
			return nil
		}
	}
	return cmp.Or(ctx.Err(), fmt.Errorf("the cluster is not whole within %v: %w", within, why))
}

func (c *Cluster) whole(ctx context.Context) error {
	all := c.Statuses(ctx)
	leader := slices.IndexFunc(all, func(s registry.Status) bool { return s.IsLeader })
	if leader < 0 {
		return errors.New("nobody leads")
	}
	for i, s := range all {
		name := c.Lab.Nodes()[i].Name
		switch {
		case s.ID == "":
			return fmt.Errorf("%s does not answer", name)
		case !s.Ready:
			return fmt.Errorf("%s is not ready", name)
		case s.Leader != all[leader].ID || s.Term != all[leader].Term:
			return fmt.Errorf("%s follows %q in term %d, and %s leads in term %d", name, s.Leader, s.Term, c.Lab.Nodes()[leader].Name, all[leader].Term)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	members, err := c.Clients[leader].Members(ctx)
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	voters := 0
	for _, m := range members {
		if m.Suffrage == registry.Voter {
			voters++
		}
	}
	if voters != len(all) || len(members) != len(all) {
		return fmt.Errorf("%d of %d members vote, want %d", voters, len(members), len(all))
	}
	return c.caughtUp(ctx, all)
}

// caughtUp reports a node that has not applied what was committed at the time of these statuses.
func (c *Cluster) caughtUp(ctx context.Context, before []registry.Status) error {
	var committed uint64
	for _, s := range before {
		committed = max(committed, s.Committed)
	}
	for i, s := range c.Statuses(ctx) {
		if s.Applied < committed {
			return fmt.Errorf("%s has applied %d of %d entries", c.Lab.Nodes()[i].Name, s.Applied, committed)
		}
	}
	return nil
}

// revive starts the processes that ended by themselves.
func (c *Cluster) revive() {
	for _, n := range c.Lab.Nodes() {
		err := n.Fallen()
		if err == nil {
			continue
		}
		c.Log.Info("a server ended by itself; starting it", "node", n.Name, "error", err)
		c.note("fell", n.Name, c.Record.Now(), err.Error())
		if err := n.Start(); err != nil {
			c.Log.Error("it cannot be started", "node", n.Name, "error", err)
		}
	}
}

// note writes down what happened from a moment until now.
func (c *Cluster) note(kind, node string, from time.Duration, note string) {
	c.Record.Append(history.Fault{Kind: kind, Node: node, From: from, Until: c.Record.Now(), Note: note})
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
