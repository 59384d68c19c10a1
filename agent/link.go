package agent

import (
	"errors"
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

	// began is when a lease was first asked for.
	began time.Time
	// leaseTold says that the log has the trouble with the lease as a warning.
	leaseTold bool
}

// electionGrace is how long after the start a cluster without a leader is no
// trouble yet: it is electing one, and the server of this very process may have
// been the last that was needed for it.
const electionGrace = 5 * time.Second

// begin is called before a lease is first asked for.
func (l *link) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began = time.Now()
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
	l.tellLeaseLocked(err)
	l.leaseErr = err
}

// tellLeaseLocked logs the beginning and the end of trouble with the lease.
func (l *link) tellLeaseLocked(err error) {
	switch {
	case err == nil:
		if l.leaseTold {
			l.log.Info("the lease is kept alive again")
		}
		l.leaseTold = false
	case l.leaseTold:
	case l.contact.IsZero() && time.Since(l.began) < electionGrace &&
		(errors.Is(err, registry.ErrNoLeader) || errors.Is(err, registry.ErrUnavailable)):
		if l.leaseErr == nil {
			l.log.Debug("there is no lease yet", "error", err)
		}
	default:
		l.log.Warn("the lease cannot be kept alive", "error", err)
		l.leaseTold = true
	}
}

// recordsAnswer takes the outcome of advertising a generation under a lease.
func (l *link) recordsAnswer(generation uint64, lease registry.LeaseID, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tellRecordsLocked(err)
	l.recordsErr = err
	if err == nil || errors.Is(err, registry.ErrNodeTaken) {
		l.contact = time.Now()
	}
	if err == nil {
		l.synced, l.syncedLease = generation, lease
	}
}

// tellRecordsLocked logs the beginning and the end of trouble, not every try. That
// another node has the name may never end by itself, so it is an error, whatever
// was in the way before.
func (l *link) tellRecordsLocked(err error) {
	before := l.recordsErr
	switch {
	case errors.Is(err, registry.ErrNodeTaken):
		if before == nil || before.Error() != err.Error() {
			l.log.Error("nothing of this node is in the catalog: another node has its name", "error", err)
		}
	case err != nil && before == nil:
		l.log.Warn("the catalog cannot be brought up to date", "error", err)
	case err == nil && before != nil:
		l.log.Info("the catalog is up to date again")
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
