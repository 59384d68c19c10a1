package agent

import (
	"log/slog"
	"sync"
	"time"

	"herald/registry"
)

// link is how the agent stands with the servers. mu guards all of it.
type link struct {
	mu  sync.Mutex
	log *slog.Logger

	// lease is alive as far as is known; 0 if there is none.
	lease registry.LeaseID
	// The catalog was brought in line with this generation of the state, under this
	// lease.
	synced      uint64
	syncedLease registry.LeaseID

	leaseErr, recordsErr error
	contact              time.Time
}

// leaseAnswer takes the outcome of a call about the lease. now is the lease that
// is held after it.
func (l *link) leaseAnswer(now registry.LeaseID, err error, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if answered {
		l.contact = time.Now()
	}
	l.lease = now
	l.tellLocked("the lease cannot be kept alive", "the lease is kept alive again", l.leaseErr, err)
	l.leaseErr = err
}

// recordsAnswer takes the outcome of advertising a generation under a lease.
func (l *link) recordsAnswer(generation uint64, lease registry.LeaseID, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tellLocked("the catalog cannot be brought up to date", "the catalog is up to date again", l.recordsErr, err)
	l.recordsErr = err
	if err == nil {
		l.contact = time.Now()
		l.synced, l.syncedLease = generation, lease
	}
}

// tellLocked logs the beginning and the end of trouble, not every try.
func (l *link) tellLocked(trouble, over string, before, now error) {
	switch {
	case now != nil && before == nil:
		l.log.Warn(trouble, "error", now)
	case now == nil && before != nil:
		l.log.Info(over)
	}
}

// Sync implements registry.Agent.
func (a *Agent) Sync() registry.AgentSync {
	a.state.mu.Lock()
	generation := a.state.generation
	a.state.mu.Unlock()
	l := &a.link
	l.mu.Lock()
	defer l.mu.Unlock()
	s := registry.AgentSync{
		Lease:       l.lease,
		InSync:      l.lease != 0 && l.syncedLease == l.lease && l.synced == generation,
		LastContact: l.contact,
	}
	switch {
	case l.leaseErr != nil:
		s.LastError = l.leaseErr.Error()
	case l.recordsErr != nil:
		s.LastError = l.recordsErr.Error()
	}
	return s
}
