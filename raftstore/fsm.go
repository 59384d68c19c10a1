package raftstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/mvcc"
	"herald/registry/watch"
)

// errFenced is the result of a command whose term had passed when it was applied.
var errFenced = errors.New("the leader's term ended before its command was applied")

// entryResult is what an entry's commands did, in order, or why none was applied.
type entryResult struct {
	results []mvcc.Result
	err     error
}

// machine is the state machine as raft drives it. Raft calls ApplyBatch, Snapshot
// and Restore from one goroutine (Restore also before that one starts); all else may be called
// by any.
//
// The state, the index it was applied up to, and what readers and watchers see
// move together: each batch is applied, then published once, and only then are its
// proposers answered.
type machine struct {
	state *mvcc.State // owned by raft's goroutine
	view  atomic.Pointer[mvcc.View]
	hub   *watch.Hub

	// halted is why nothing more may be applied; owned by raft's goroutine.
	halted error
	// dir is the data directory, for errors to name.
	dir string
	// fail stops the store; it does not wait.
	fail func(error)
	// leases is told of lease changes, after they were published and before their
	// proposers are answered. It must not block.
	leases  func([]mvcc.LeaseChange)
	applied func(entries int, took time.Duration)
	// published is signalled after entries were applied and published; one slot.
	published chan struct{}
	// compacted is signalled after a compaction was applied and published; one slot.
	compacted chan struct{}
	// restoring is the restore that comes in through the log, if one does; owned by raft's
	// goroutine. restored is told of the state that one brought, as leases is of leases.
	restoring *restoring
	restored  func(*mvcc.View)
	// snapshotted is told how each snapshot went.
	snapshotted func(took time.Duration, err error)

	// closing is closed when the store is.
	closing <-chan struct{}
	// starting is set until raft runs. A snapshot that cannot be read then is the
	// end: raft would go on with an older one, as if the newer had not been.
	starting atomic.Bool

	waiting applyWaiters

	// Scratch of ApplyBatch.
	commands []fencedCommand
	changes  []mvcc.LeaseChange
	compacts bool // a compaction was among them
	results  sync.Pool
}

// barrierSweeps is how many pieces of upkeep an entry without commands does: about a
// millisecond's worth.
const barrierSweeps = 64

type fencedCommand struct {
	fence uint64
	cmd   mvcc.Command
}

var _ raft.BatchingFSM = (*machine)(nil)

func newMachine(hubConfig watch.Config) *machine {
	m := &machine{state: mvcc.New(), fail: func(error) {}, leases: func([]mvcc.LeaseChange) {}, restored: func(*mvcc.View) {}, published: make(chan struct{}, 1), compacted: make(chan struct{}, 1)}
	m.starting.Store(true)
	m.view.Store(m.state.Publish())
	m.hub = watch.NewHub(m.view.Load(), hubConfig)
	m.results.New = func() any { return new(entryResult) }
	return m
}

// View is the state as last published. It is never older than what any proposer
// was answered with.
func (m *machine) View() *mvcc.View { return m.view.Load() }

// Apply applies one entry; raft prefers ApplyBatch.
func (m *machine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies entries in order. After an entry that it cannot understand
// nothing is applied ever again, not even the rest of the batch: to skip
// what another server applied would be to diverge from it.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	start := time.Now()
	out := make([]any, len(logs))
	m.changes, m.compacts = m.changes[:0], false
	for i, l := range logs {
		if m.halted != nil {
			out[i] = &entryResult{err: m.halted}
			continue
		}
		if m.restoring != nil && l.Term != m.restoring.term {
			m.dropRestore()
		}
		if l.Type != raft.LogCommand {
			m.state.SetApplied(l.Index)
			continue
		}
		r, err := m.applyEntry(i, l)
		if err != nil {
			m.halted = fmt.Errorf("log entry %d: %w", l.Index, remedy(err, m.dir))
			m.fail(m.halted)
			r = &entryResult{err: m.halted}
		}
		out[i] = r
	}
	m.publish()
	select {
	case m.published <- struct{}{}:
	default:
	}
	if m.compacts {
		select {
		case m.compacted <- struct{}{}:
		default:
		}
	}
	if len(m.changes) > 0 {
		m.leases(m.changes)
	}
	if m.applied != nil {
		m.applied(len(logs), time.Since(start))
	}
	return out
}

// applyEntry applies the entry at a position of a batch, or says why it cannot be
// understood.
func (m *machine) applyEntry(i int, l *raft.Log) (*entryResult, error) {
	if isRestore(l.Data) {
		return m.applyRestore(l)
	}
	if err := m.decode(l); err != nil {
		return nil, err
	}
	loseWrites(i, m.commands)
	return m.apply(l), nil
}

// decode reads all of an entry's commands before any is applied, so that an entry
// is applied whole or not at all.
func (m *machine) decode(l *raft.Log) error {
	clear(m.commands)
	m.commands = m.commands[:0]
	return splitEntry(l.Data, func(fence uint64, b []byte) error {
		c, err := mvcc.DecodeCommand(b)
		if err == nil {
			m.commands = append(m.commands, fencedCommand{fence, c})
		}
		return err
	})
}

func (m *machine) apply(l *raft.Log) *entryResult {
	r := m.results.Get().(*entryResult)
	r.results = r.results[:0]
	for i := range m.commands {
		f := &m.commands[i]
		if f.fence != 0 && f.fence != l.Term {
			r.results = append(r.results, mvcc.Result{Err: errFenced})
			continue
		}
		if f.cmd.Compact != nil {
			// Watchers are caught up from what is published: what is about to be
			// forgotten has to be seen by the hub first.
			m.publish()
			m.compacts = true
		}
		res := m.state.Apply(&f.cmd)
		r.results = append(r.results, res)
		m.changes = append(m.changes, res.Leases...)
	}
	// Also when every command was fenced off, or there was none.
	m.state.SetApplied(l.Index)
	if len(m.commands) == 0 {
		// Each call does a bounded piece of what compactions left. An entry without commands
		// has nothing else to do, and after a compaction (see tenure.sweep) it is made for this. How far that has come is no part of the state that servers agree on.
		for range barrierSweeps {
			m.state.SetApplied(l.Index)
		}
	}
	return r
}

// recycle takes back a result of ApplyBatch.
func (m *machine) recycle(r *entryResult) {
	clear(r.results)
	m.results.Put(r)
}

func (m *machine) publish() {
	v := m.state.Publish()
	m.view.Store(v)
	m.hub.Publish(v)
	m.waiting.wake(v.Applied())
}

// waitApplied returns once the view contains index, or with ctx's error, or with ErrStopped
// when the store is closing.
func (m *machine) waitApplied(ctx context.Context, index uint64) error {
	if m.View().Applied() >= index {
		return nil
	}
	w := m.waiting.add(index)
	// Published between the look and the registration?
	if m.View().Applied() >= index {
		m.waiting.remove(w)
		return nil
	}
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		m.waiting.remove(w)
		return ctx.Err()
	case <-m.closing:
		m.waiting.remove(w)
		return registry.ErrStopped
	}
}

// applyWaiters are readers that wait for an index to be applied.
type applyWaiters struct {
	n   atomic.Int32 // len(set), so that the applier need not lock to see that nobody waits
	mu  sync.Mutex
	set map[*applyWaiter]struct{}
}

type applyWaiter struct {
	index uint64
	ready chan struct{}
}

func (a *applyWaiters) add(index uint64) *applyWaiter {
	w := &applyWaiter{index: index, ready: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set == nil {
		a.set = make(map[*applyWaiter]struct{})
	}
	a.set[w] = struct{}{}
	a.n.Store(int32(len(a.set)))
	return w
}

func (a *applyWaiters) remove(w *applyWaiter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.set, w)
	a.n.Store(int32(len(a.set)))
}

// wake ends the wait of all that waited for an index up to applied.
func (a *applyWaiters) wake(applied uint64) {
	// Ordered after the view was stored: a waiter that is not counted yet looks
	// at the view once more after it is.
	if a.n.Load() == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for w := range a.set {
		if w.index <= applied {
			close(w.ready)
			delete(a.set, w)
		}
	}
	a.n.Store(int32(len(a.set)))
}

// Snapshot captures the state as it is now, at no cost.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	if m.halted != nil {
		// Raft would take the state for one that contains the entry it halted at.
		return nil, m.halted
	}
	if m.restoring != nil {
		return nil, errRestoring
	}
	return &snapshot{view: m.View(), closing: m.closing, done: m.snapshotted}, nil
}

// Restore replaces the state by a snapshot's. The new state is built aside: if
// the snapshot is bad, nothing has changed.
func (m *machine) Restore(rc io.ReadCloser) error {
	defer rc.Close()
	if m.halted != nil {
		return m.halted
	}
	s, err := decodeSnapshot(rc)
	if err != nil {
		if m.starting.Load() || errors.Is(err, registry.ErrFormat) {
			m.halted = fmt.Errorf("restore a snapshot: %w", remedy(err, m.dir))
			m.fail(m.halted)
		}
		return err
	}
	m.dropRestore() // the leader's snapshot is of a state without one
	m.replace(s)
	return nil
}
