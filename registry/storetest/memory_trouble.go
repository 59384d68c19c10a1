package storetest

import (
	"bytes"
	"fmt"
	"time"

	"herald/registry"
	"herald/registry/mvcc"
)

// SetOutage makes everything that needs a leader fail with err, as when the quorum
// is lost: pass registry.ErrNoLeader or registry.ErrUnavailable, and nil to end it.
// Stale reads and watches go on. No lease ends meanwhile, and each has its whole
// time to live afterwards.
func (m *Memory) SetOutage(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.outage == nil && err != nil:
		m.outageOver = make(chan struct{})
	case m.outage != nil && err == nil:
		close(m.outageOver)
		m.term++
		m.restartLeasesLocked()
	}
	m.outage = err
}

// Snapshot is the store's state as bytes, for Restore.
func (m *Memory) Snapshot() ([]byte, error) {
	m.mu.Lock()
	v := m.state.View()
	m.mu.Unlock()
	var b bytes.Buffer
	if err := v.Encode(&b); err != nil {
		return nil, fmt.Errorf("snapshot of the store: %w", err)
	}
	return b.Bytes(), nil
}

// Restore replaces the state by that of a snapshot, as when a server is sent one.
// Every watcher ends with registry.ErrWatchReset, and each lease has its whole time
// to live, or what a checkpoint says of it.
func (m *Memory) Restore(snapshot []byte) error {
	state, err := mvcc.Decode(bytes.NewReader(snapshot))
	if err != nil {
		return fmt.Errorf("restore of the store: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return registry.ErrStopped
	}
	m.state = state
	m.index = max(m.index, state.View().Applied())
	m.restartLeasesLocked()
	m.hub.Reset(state.View())
	return nil
}

// restartLeasesLocked starts every lease anew, as a new leader does.
func (m *Memory) restartLeasesLocked() {
	now := time.Now()
	m.leases = newDeadlines()
	m.state.View().Leases(func(l mvcc.LeaseState) bool {
		left := l.Remaining
		if left == 0 {
			left = l.TTL
		}
		if l.TTL != registry.NoTTL {
			m.leases.set(l.ID, now.Add(left))
		}
		return true
	})
	m.alarm()
}

// alarm makes the expirer look at the deadlines again.
func (m *Memory) alarm() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
