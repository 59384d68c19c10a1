package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"herald/registry"
	"herald/registry/mvcc"
	"herald/registry/watch"
)

// DefaultMaxRequestBytes is how large a write may be, in bytes of its encoding without its origin, unless
// a store is told otherwise: 1.5 MiB.
const DefaultMaxRequestBytes = 3 << 19

// Interface guards.
var (
	_ registry.Store   = (*Memory)(nil)
	_ registry.Cluster = (*Memory)(nil)
	_ registry.Sweeper = (*Memory)(nil)
)

// Memory is a registry.Store and a registry.Cluster of one server, in memory. What
// is written goes through the encoding of commands, as it would on its way through
// a log, so that the store shares no memory with its callers. Its methods may be
// called by any number of goroutines.
type Memory struct {
	hub     *watch.Hub
	quit    chan struct{}
	wake    chan struct{} // one slot: an earlier deadline than before
	expirer sync.WaitGroup

	mu sync.Mutex
	// state is written under mu. Its views are read without.
	state  *mvcc.State
	index  uint64 // of the last command, counted as a raft log would
	term   uint64
	leases deadlines
	closed bool
	// outage is what linearizable requests fail with; nil: none. outageOver is closed
	// when it ends.
	outage     error
	outageOver chan struct{}
}

// NewMemory opens a store that is closed when the test ends.
func NewMemory(t testing.TB) *Memory {
	t.Helper()
	m := Open()
	t.Cleanup(m.Close)
	return m
}

// Open opens an empty store, for use without a testing.TB. It must be closed.
func Open() *Memory {
	state := mvcc.New()
	m := &Memory{
		hub:    watch.NewHub(state.View(), watch.DefaultConfig()),
		quit:   make(chan struct{}),
		wake:   make(chan struct{}, 1),
		state:  state,
		term:   1,
		leases: newDeadlines(),
	}
	m.expirer.Go(m.expire)
	return m
}

// Close ends the store's watchers and goroutines. Whatever is asked of it afterwards
// fails with registry.ErrStopped. It may be called more than once.
func (m *Memory) Close() {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		close(m.quit)
	}
	m.mu.Unlock()
	m.expirer.Wait()
	m.hub.Close()
}

// MaxRequestBytes is how large a write may be, in bytes of its encoding without its origin.
func (m *Memory) MaxRequestBytes() int { return DefaultMaxRequestBytes }

// Range is part of registry.Store.
func (m *Memory) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	v, err := m.view(ctx, r.Consistency)
	if err != nil {
		return registry.RangeResult{}, err
	}
	return v.Range(r)
}

// Txn is part of registry.Store.
func (m *Memory) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	if !t.Writes() {
		v, err := m.view(ctx, t.Freshness())
		if err != nil {
			return registry.TxnResult{}, err
		}
		return v.ReadTxn(t)
	}
	res, err := m.propose(ctx, mvcc.Command{Txn: &t})
	if err != nil {
		return registry.TxnResult{}, err
	}
	return *res.Txn, nil
}

// Compact is part of registry.Store.
func (m *Memory) Compact(ctx context.Context, s registry.Space, rev int64) error {
	_, err := m.propose(ctx, mvcc.Command{Compact: &mvcc.Compact{Space: s, Revision: rev}})
	return err
}

// AwaitSwept is registry.Sweeper's. It does what there is to sweep itself; where there is not, it
// waits for the end of ctx.
func (m *Memory) AwaitSwept(ctx context.Context, s registry.Space, rev int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refusesLocked(ctx, registry.Stale); err != nil {
		return err
	}
	for m.state.View().Size().Unswept {
		m.state.SetApplied(m.index)
		m.state.Publish()
	}
	if m.state.View().Swept(s, rev) {
		return nil
	}
	m.mu.Unlock()
	defer m.mu.Lock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-m.quit:
		return registry.ErrStopped
	}
}

// Watch is part of registry.Store.
func (m *Memory) Watch(ctx context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	return m.hub.Watch(ctx, r)
}

// view is the state for a read of that consistency.
func (m *Memory) view(ctx context.Context, c registry.Consistency) (*mvcc.View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refusesLocked(ctx, c); err != nil {
		return nil, err
	}
	return m.state.View(), nil
}

// refusesLocked says why a request cannot be served, if it cannot.
func (m *Memory) refusesLocked(ctx context.Context, c registry.Consistency) error {
	switch {
	case m.closed:
		return registry.ErrStopped
	case ctx.Err() != nil:
		return ctx.Err()
	case c != registry.Stale && m.outage != nil:
		return m.outage
	}
	return nil
}

// propose applies a command as if it came from a log.
func (m *Memory) propose(ctx context.Context, c mvcc.Command) (mvcc.Result, error) {
	logged, err := m.logged(ctx, c)
	if err != nil {
		return mvcc.Result{}, err
	}
	res, err := m.apply(ctx, &logged)
	res.Complete()
	return res, err
}

func (m *Memory) apply(ctx context.Context, c *mvcc.Command) (mvcc.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.refusesLocked(ctx, registry.Linearizable); err != nil {
		return mvcc.Result{}, err
	}
	res := m.applyLocked(c)
	return res, res.Err
}

// logged is the command as it comes out of a log: with its origin, and sharing no
// memory with c.
func (m *Memory) logged(ctx context.Context, c mvcc.Command) (mvcc.Command, error) {
	if err := c.Validate(); err != nil {
		return mvcc.Command{}, err
	}
	caller := registry.CallerFrom(ctx)
	c.Origin = registry.Origin{Who: caller.Identity, Why: caller.Reason, When: time.Now()}
	b := c.AppendTo(nil)
	if limit := m.MaxRequestBytes(); mvcc.OwnBytes(b) > limit {
		return mvcc.Command{}, fmt.Errorf("%w: it takes %d bytes, and the limit is %d", registry.ErrTooLarge, mvcc.OwnBytes(b), limit)
	}
	return mvcc.DecodeCommand(b)
}

// applyLocked applies one command and lets readers and watchers see it.
func (m *Memory) applyLocked(c *mvcc.Command) mvcc.Result {
	m.index++
	res := m.state.Apply(c)
	m.state.SetApplied(m.index)
	m.hub.Publish(m.state.Publish())
	for _, ch := range res.Leases {
		m.leases.remove(ch.ID)
		if !ch.Ended {
			m.startLocked(ch.ID, ch.TTL)
		}
	}
	return res
}
