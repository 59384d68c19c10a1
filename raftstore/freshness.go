package raftstore

import (
	"context"
	"math"
	"time"

	"herald/registry"
)

// freshenEvery is how often a server makes sure that its state is up to date: what a
// stale read says of its age is no better than that.
const freshenEvery = 100 * time.Millisecond

// freshen notes again and again when this server's state last contained all that
// was acknowledged. It returns when the store is closing.
func (s *Store) freshen() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ticker := time.NewTicker(freshenEvery)
	defer ticker.Stop()
	for {
		s.freshenOnce(ctx)
		select {
		case <-ticker.C:
		case <-s.closing:
			return
		}
	}
}

func (s *Store) freshenOnce(ctx context.Context) {
	known := s.known.Load()
	if known.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.HeartbeatTimeout)
	defer cancel()
	stop := context.AfterFunc(known.over, cancel)
	defer stop()
	asked := time.Since(s.started)
	index, err := s.leader(known).readIndex(ctx)
	if err != nil && leaderIsGone(err) {
		s.hasten(known)
	}
	if err != nil || s.machine.waitApplied(ctx, index) != nil {
		return
	}
	s.freshAt.Store(int64(asked))
	s.becomeReady()
}

// age bounds how old the local view may be: it contains all that was acknowledged
// so long ago.
func (s *Store) age() time.Duration {
	if _, ok := s.leadsAlone(); ok {
		return 0
	}
	at := s.freshAt.Load()
	if at == 0 {
		return math.MaxInt64 // nothing was heard since it started
	}
	since := time.Since(s.started) - time.Duration(at)
	if _, ok := s.leads(); ok && since <= 2*freshenEvery {
		// As of the last confirmation by a quorum; longer ago, somebody else may
		// lead and write.
		return 0
	}
	return since
}

// WaitReady implements registry.Cluster.
func (s *Store) WaitReady(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		if err := s.open(); err != nil {
			return err
		}
		return registry.ErrStopped
	}
}

func (s *Store) becomeReady() { s.readyOnce.Do(func() { close(s.ready) }) }
