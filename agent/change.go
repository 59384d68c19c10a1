package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"herald/agent/durable"
	"herald/registry"
)

// batchChanges is how many changes go to disk together at most: enough that a
// sync costs each of them next to nothing, and few enough that the first of them
// is soon answered.
const batchChanges = 256

// change is a change of definitions that waits for its turn, or has had it.
type change struct {
	ctx  context.Context
	edit func(*draft) error

	done chan struct{} // closed once the rest is set
	err  error
	// panicked is what edit panicked with. That belongs to who asked for the change,
	// not to who happened to make it.
	panicked any
}

// changes are those that wait, the oldest first.
type changes struct {
	mu      sync.Mutex
	waiting []*change
}

func (q *changes) add(c *change) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, c)
}

// remove takes c out, and reports whether it was still waiting.
func (q *changes) remove(c *change) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.waiting {
		if w == c {
			q.waiting = append(q.waiting[:i:i], q.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// take takes out those whose turn it is.
func (q *changes) take() []*change {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), batchChanges)
	taken := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = nil // and with it what was taken
	}
	return taken
}

// change makes a change of definitions: on disk first, so that what was
// acknowledged survives, then in the state. An error changes nothing. While one
// writes to disk the others gather, and whoever comes next makes the changes of all
// of them, in the order in which they came, with one write. edit may run in another
// goroutine, and is done with when change returns.
func (a *Agent) change(ctx context.Context, edit func(*draft) error) error {
	c := &change{ctx: ctx, edit: edit, done: make(chan struct{})}
	a.changes.add(c)
	for {
		select {
		case <-c.done:
			return c.outcome()
		case <-ctx.Done():
			if a.changes.remove(c) {
				return ctx.Err()
			}
			<-c.done // it is being made, and cannot be called back
			return c.outcome()
		case a.edit <- struct{}{}:
			select {
			case <-c.done: // by whoever had edit until now
			default:
				a.makeChanges(a.changes.take())
			}
			<-a.edit
		}
	}
}

func (c *change) outcome() error {
	if c.panicked != nil {
		panic(c.panicked)
	}
	return c.err
}

// makeChanges makes those changes of a batch that can be made, and answers all of
// them. Agent.edit is held.
func (a *Agent) makeChanges(batch []*change) {
	all := a.state.draft()
	drafts := make([]*draft, 0, len(batch))
	made := make([]*change, 0, len(batch))
	var writes [][]durable.Op
	for _, c := range batch {
		d := all.draft()
		ops := c.run(a, d)
		if c.err != nil || c.panicked != nil || d.empty() {
			continue
		}
		all.absorb(d)
		drafts, made = append(drafts, d), append(made, c)
		if len(ops) > 0 {
			writes = append(writes, ops)
		}
	}
	if len(made) > 0 {
		err := a.disk.keep(writes)
		for _, c := range made {
			c.err = err
		}
		if err == nil {
			a.commit(drafts)
		}
	}
	for _, c := range batch {
		close(c.done)
	}
}

// run makes a change in d, and returns what it makes of what is kept on disk.
func (c *change) run(a *Agent, d *draft) (ops []durable.Op) {
	defer func() { c.panicked = recover() }()
	c.err = c.ctx.Err()
	if a.closed {
		c.err = fmt.Errorf("agent: %w", registry.ErrStopped)
	}
	if c.err == nil {
		c.err = c.edit(d)
	}
	if c.err == nil {
		ops, c.err = a.disk.records(d)
	}
	return ops
}

// commit makes drafts the state, one after the other as they were made: a check that
// two of them define ends as the second leaves it, and takes over from the first what
// it would if that had come long before.
func (a *Agent) commit(drafts []*draft) {
	s := &a.state
	s.mu.Lock()
	var started []*healthCheck
	now := time.Now()
	for _, d := range drafts {
		started = append(started, s.commitLocked(d, now)...)
	}
	for _, c := range started {
		a.startLocked(c)
	}
	s.mu.Unlock()
	a.wakeAdvertise()
}
