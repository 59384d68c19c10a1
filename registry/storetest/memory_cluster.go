package storetest

import (
	"context"

	"herald/registry"
)

// memoryID is the id and the name of a Memory as a member of its cluster.
const memoryID = "memory"

// memoryAddress is where its peers would reach it, if it had any.
const memoryAddress = "memory.invalid:7400"

// Status is part of registry.Cluster.
func (m *Memory) Status() registry.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := registry.Status{
		ID:        memoryID,
		ClusterID: memoryID,
		Term:      m.term,
		LastIndex: m.index,
		Committed: m.index,
		Applied:   m.index,
		Revisions: m.state.View().Revisions(),
		Compacted: m.state.View().Floors(),
		Bytes:     m.state.View().Size().Memory(),
	}
	if !m.closed && m.outage == nil {
		s.Leader, s.IsLeader, s.Ready = memoryID, true, true
	}
	return s
}

// Term is part of registry.Cluster.
func (m *Memory) Term() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.term
}

// Servers is part of registry.Cluster.
func (m *Memory) Servers() []registry.Member {
	return []registry.Member{{ID: memoryID, Name: memoryID, Address: memoryAddress, Suffrage: registry.Voter, Leader: m.Status().Leader != ""}}
}

// Members is part of registry.Cluster.
func (m *Memory) Members(ctx context.Context) ([]registry.Member, error) {
	if _, err := m.view(ctx, registry.Linearizable); err != nil {
		return nil, err
	}
	return []registry.Member{{ID: memoryID, Name: memoryID, Suffrage: registry.Voter, Leader: true, Alive: true}}, nil
}

// WaitReady is part of registry.Cluster.
func (m *Memory) WaitReady(ctx context.Context) error {
	for {
		m.mu.Lock()
		over := m.outageOver
		ready := !m.closed && m.outage == nil
		m.mu.Unlock()
		if ready {
			return nil
		}
		select {
		case <-m.quit:
			return registry.ErrStopped
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
		}
	}
}
