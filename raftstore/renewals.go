package raftstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"herald/registry"
)

const (
	// renewalsInFlight is how many questions about leases may be on their way to the leader.
	renewalsInFlight = 2
	// maxRenewals bounds how many leases one of them is about. The leader's clock stands still for
	// other callers meanwhile.
	maxRenewals = 1024
)

// renewals gathers the keepalives of this server's clients for the leader: whatever waits
// when a question leaves goes with it; one that comes alone leaves at once.
//
// The question is the ids, each a varint. The answer is, for each in order, one of
//
//	renewedAlive, varint TTL
//	renewedMissing
//	renewedBusy       the lease has to be asked about alone (methodKeepAlive): a decision about
//	                  it is under way, for which the others must not wait
type renewals struct {
	s   *Store
	ctx context.Context // ends with stop
	end context.CancelFunc
	wg  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	flying int
	queue  []*waitingRenewal
}

const (
	renewedAlive byte = iota
	renewedMissing
	renewedBusy
)

// renewed is what became of one lease.
type renewed struct {
	state byte
	ttl   time.Duration
}

// waitingRenewal is one keepalive.
type waitingRenewal struct {
	id    registry.LeaseID
	done  chan struct{} // closed when what follows is set
	found renewed
	err   error
}

func newRenewals(s *Store) *renewals {
	r := &renewals{s: s}
	r.ctx, r.end = context.WithCancel(context.Background())
	return r
}

// ask has the leader renew a lease, with others.
func (r *renewals) ask(ctx context.Context, id registry.LeaseID) (renewed, error) {
	w := &waitingRenewal{id: id, done: make(chan struct{})}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return renewed{}, registry.ErrStopped
	}
	r.queue = append(r.queue, w)
	if r.flying < renewalsInFlight {
		r.flying++
		r.wg.Go(r.fly)
	}
	r.mu.Unlock()
	select {
	case <-w.done:
		return w.found, w.err
	case <-ctx.Done():
		return renewed{}, fmt.Errorf("%w: the leader has not answered: %w", registry.ErrUnavailable, context.Cause(ctx))
	}
}

// fly asks the leader about what waits until nothing does.
func (r *renewals) fly() {
	for {
		r.mu.Lock()
		n := min(len(r.queue), maxRenewals)
		if n == 0 {
			r.flying--
			r.mu.Unlock()
			return
		}
		batch := r.queue[:n:n]
		r.queue = r.queue[n:]
		r.mu.Unlock()
		err := r.send(batch)
		for _, w := range batch {
			w.err = err
			close(w.done)
		}
	}
}

func (r *renewals) send(batch []*waitingRenewal) error {
	leads := r.s.leader(r.s.known.Load())
	to, ok := leads.(remoteLeader)
	if !ok {
		// This server leads now, or nobody does: each is asked again.
		if _, ok := leads.(nobody); ok {
			return r.s.notLeader()
		}
		return fmt.Errorf("%w: the leader has changed", registry.ErrUnavailable)
	}
	req := make([]byte, 0, len(batch)*binary.MaxVarintLen64)
	for _, w := range batch {
		req = binary.AppendVarint(req, int64(w.id))
	}
	b, err := to.harmless(r.ctx, methodKeepAlives, req)
	if err != nil {
		return err
	}
	all, err := decodeRenewed(b, len(batch))
	if err != nil {
		return err
	}
	for i, w := range batch {
		w.found = all[i]
	}
	return nil
}

// stop ends what waits, and what is on its way.
func (r *renewals) stop() {
	r.mu.Lock()
	r.closed = true
	r.end()
	r.mu.Unlock()
	r.wg.Wait()
}

func appendRenewed(b []byte, all []renewed) []byte {
	for _, f := range all {
		if b = append(b, f.state); f.state == renewedAlive {
			b = binary.AppendVarint(b, int64(f.ttl))
		}
	}
	return b
}

// decodeRenewed decodes the answer about n leases.
func decodeRenewed(b []byte, n int) ([]renewed, error) {
	all := make([]renewed, n)
	for i := range all {
		if len(b) == 0 || b[0] > renewedBusy {
			return nil, malformed("answer about leases")
		}
		all[i].state, b = b[0], b[1:]
		if all[i].state == renewedAlive {
			ttl, w := binary.Varint(b)
			if w <= 0 {
				return nil, malformed("answer about leases")
			}
			all[i].ttl, b = time.Duration(ttl), b[w:]
		}
	}
	if len(b) > 0 {
		return nil, malformed("answer about leases")
	}
	return all, nil
}

// keepAlive asks the leader with others, and again alone if it cannot decide at once.
func (r remoteLeader) keepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	found, err := r.s.renewals.ask(ctx, id)
	switch {
	case err != nil:
		return registry.Lease{}, err
	case found.state == renewedMissing:
		return registry.Lease{}, registry.ErrLeaseNotFound
	case found.state == renewedBusy:
		return r.keepAliveAlone(ctx, id)
	}
	return registry.Lease{ID: id, TTL: found.ttl, Remaining: found.ttl}, nil
}

// handleKeepAlives renews leases of another server's clients.
func (s *Store) handleKeepAlives(ctx context.Context, l localLeader, req []byte) ([]byte, error) {
	var ids []registry.LeaseID
	for len(req) > 0 {
		id, w := binary.Varint(req)
		if w <= 0 || len(ids) == maxRenewals {
			return nil, fmt.Errorf("%w: the leases to keep alive make no sense, or are more than %d", registry.ErrInvalid, maxRenewals)
		}
		ids, req = append(ids, registry.LeaseID(id)), req[w:]
	}
	all, term, ok := s.clock.renewMany(ids)
	if !ok {
		return nil, s.notHere()
	}
	// Confirmed after the deadlines were moved, not before: see leaseClock.
	now, err := l.confirmLeader(ctx)
	switch {
	case err != nil:
		return nil, err
	case now != term:
		return nil, s.notHere()
	}
	return appendRenewed(make([]byte, 0, len(all)*(1+binary.MaxVarintLen64)), all), nil
}

// renewMany starts the time of leases anew, of all that nothing has to be waited for.
func (c *leaseClock) renewMany(ids []registry.LeaseID) (all []renewed, term uint64, ok bool) {
	all = make([]renewed, len(ids))
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.active {
		return nil, 0, false
	}
	from := c.afterLocked(0)
	for i, id := range ids {
		l := c.leases[id]
		switch {
		case l == nil:
			all[i].state = renewedMissing
		case l.pending != nil || l.checkpointed:
			all[i].state = renewedBusy
		default:
			all[i].ttl = l.ttl
			if l.ttl != registry.NoTTL {
				l.deadline = max(l.deadline, from+l.ttl)
			}
		}
	}
	return all, c.term, true
}
