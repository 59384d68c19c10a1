package raftstore

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
)

// stallingLog is a disk that hangs while it is held.
type stallingLog struct {
	raft.LogStore
	disk sync.Mutex
	held chan struct{} // closed when appends may go on; nil if they may
}

func (l *stallingLog) StoreLogs(logs []*raft.Log) error {
	l.disk.Lock()
	held := l.held
	l.disk.Unlock()
	if held != nil {
		<-held
	}
	return l.LogStore.StoreLogs(logs)
}

func (l *stallingLog) IsMonotonic() bool { return true }

// stall makes appends hang until release is called.
func (l *stallingLog) stall() (release func()) {
	held := make(chan struct{})
	l.disk.Lock()
	l.held = held
	l.disk.Unlock()
	return func() {
		l.disk.Lock()
		l.held = nil
		l.disk.Unlock()
		close(held)
	}
}

// A disk that hangs for longer than every timeout leaves a revocation on its way. Until it is
// certain what became of it no keepalive of that lease may be answered with a yes.
func TestNoKeepAliveWhileRevocationIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := &stallingLog{}
		c := &cluster{log: func(l raft.LogStore) raft.LogStore { disk.LogStore = l; return disk }}
		c.init(t, 1, func(c *Config) { c.ProposeTimeout = 300 * time.Millisecond })
		s := c.stores[c.leader()]
		id := grant(t, s, time.Second, "k")
		release := disk.stall()
		time.Sleep(1050 * time.Millisecond)
		// The revocation is in an entry by now. The entries behind it fill up, and what
		// is proposed after that is given up while it is queued.
		time.Sleep(100 * time.Millisecond)
		var saved bool
		for range 60 {
			_, err := s.KeepAlive(t.Context(), id)
			saved = saved || err == nil
			if err != nil && !errors.Is(err, registry.ErrUnavailable) {
				t.Fatalf("keepalive while the disk hangs: %v, want ErrUnavailable", err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		release()
		synctest.Wait()
		if _, there := get(t, s, "k"); saved && !there {
			t.Error("a lease whose keepalive was answered with a yes was revoked")
		} else if saved || there {
			t.Errorf("keepalive answered: %v, the key is there: %v; want the revocation to be carried out", saved, there)
		}
		if _, err := s.KeepAlive(t.Context(), id); !errors.Is(err, registry.ErrLeaseNotFound) {
			t.Errorf("keepalive after it: %v, want ErrLeaseNotFound", err)
		}
		// Leases end as before, now that the disk answers.
		grant(t, s, time.Second, "k")
		if lived := untilGone(t, s, "k"); lived < time.Second || lived > 2*time.Second {
			t.Errorf("a lease of 1s ended after %v", lived)
		}
	})
}

// However often its lease is marked anew while it waits, a keepalive ends in time.
func TestKeepAliveIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		s := c.stores[c.leader()]
		id := grant(t, s, time.Hour, "k")
		mark := func(old *leaseBatch) *leaseBatch {
			s.clock.mu.Lock()
			defer s.clock.mu.Unlock()
			l := s.clock.leases[id]
			l.pending = &leaseBatch{leases: []*clockedLease{l}, done: make(chan struct{})}
			if old != nil {
				close(old.done)
			}
			return l.pending
		}
		b := mark(nil)
		timeout := c.configs[0].ProposeTimeout
		var took time.Duration
		var err error
		var wg sync.WaitGroup
		start := time.Now()
		wg.Go(func() {
			_, err = s.KeepAlive(t.Context(), id)
			took = time.Since(start)
		})
		for range 3 {
			time.Sleep(timeout * 3 / 4)
			b = mark(b)
		}
		s.clock.resolve(b)
		wg.Wait()
		if took > timeout || !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("%v after %v, want ErrUnavailable after %v", err, took, timeout)
		}
	})
}

func TestRevokeOfNoLeaseWritesNothing(t *testing.T) {
	t.Parallel()
	s := openReady(t, testConfig(t))
	mustPut(t, s, "k", "v")
	before := s.Status().LastIndex
	if _, err := s.RevokeLease(t.Context()); err != nil {
		t.Error(err)
	}
	if after := s.Status().LastIndex; after != before {
		t.Errorf("the log went from %d to %d", before, after)
	}
}
