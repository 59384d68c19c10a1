package grpcserver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"herald/grpcserver/electionpb"
	"herald/grpcserver/lockpb"
	"herald/registry"
)

// etcdClient is etcd's own client of the door.
func (h *harness) etcdClient() *clientv3.Client {
	h.t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{h.address}, DialTimeout: 10 * time.Second})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

// session is a session of etcd's own recipes.
func session(t testing.TB, c *clientv3.Client) *concurrency.Session {
	t.Helper()
	s, err := concurrency.NewSession(c, concurrency.WithTTL(60))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A mutex of clientv3/concurrency and the lock service are the same lock, whoever waits for whom.
func TestLockServiceAndMutexExcludeEachOther(t *testing.T) {
	h := open(t)
	client := h.etcdClient()
	grantLease(t, h.store, 7, time.Hour)

	s := session(t, client)
	mutex := concurrency.NewMutex(s, "l")
	if err := mutex.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	waiting := lockLater(t.Context(), t, h, "l", 7)
	if other := concurrency.NewMutex(session(t, client), "l"); !errors.Is(other.TryLock(t.Context()), concurrency.ErrLocked) {
		t.Error("TryLock beside a holder and a waiter did not say that it is locked")
	}
	if err := mutex.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	held := <-waiting
	if held.err != nil {
		t.Fatal(held.err)
	}

	locked := make(chan error, 1)
	go func() { locked <- mutex.Lock(t.Context()) }()
	awaitQueue(t, h.store, "l", 2)
	select {
	case err := <-locked:
		t.Fatalf("the mutex was locked beside the service's holder: %v", err)
	default:
	}
	if _, err := lockpb.NewLockClient(h.conn).Unlock(t.Context(), &lockpb.UnlockRequest{Key: held.answer.Key}); err != nil {
		t.Fatal(err)
	}
	if err := <-locked; err != nil {
		t.Fatal(err)
	}

	// The end of a session gives up its lock.
	waiting = lockLater(t.Context(), t, h, "l", 7)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if r := <-waiting; r.err != nil {
		t.Error(r.err)
	}
}

// Clients of both kinds take turns; none is ever in beside another.
func TestLockServiceAndMutexUnderContention(t *testing.T) {
	h := open(t)
	client := h.etcdClient()
	const each, turns = 3, 10
	var inside, entered atomic.Int64
	var all sync.WaitGroup
	critical := func() {
		if n := inside.Add(1); n != 1 {
			t.Errorf("%d hold the lock", n)
		}
		entered.Add(1)
		inside.Add(-1)
	}
	for i := range each {
		s := session(t, client)
		all.Go(func() {
			defer s.Close()
			m := concurrency.NewMutex(s, "l")
			for range turns {
				if err := m.Lock(t.Context()); err != nil {
					t.Error(err)
					return
				}
				critical()
				if err := m.Unlock(context.Background()); err != nil {
					t.Error(err)
					return
				}
			}
		})
		grantLease(t, h.store, registry.LeaseID(200+i), time.Hour)
		all.Go(func() {
			locks := lockpb.NewLockClient(h.conn)
			for range turns {
				a, err := locks.Lock(t.Context(), &lockpb.LockRequest{Name: []byte("l"), Lease: int64(200 + i)})
				if err != nil {
					t.Error(err)
					return
				}
				critical()
				if _, err := locks.Unlock(t.Context(), &lockpb.UnlockRequest{Key: a.Key}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if n := entered.Load(); n != 2*each*turns {
		t.Errorf("the lock was held %d times, want %d", n, 2*each*turns)
	}
}

// Candidates of clientv3/concurrency and of the service stand in one election, and each sees
// the other's leader.
func TestElectionServiceAndRecipe(t *testing.T) {
	h := open(t)
	client := h.etcdClient()
	elections := electionpb.NewElectionClient(h.conn)
	grantLease(t, h.store, 7, time.Hour)
	s := session(t, client)
	defer s.Close()
	recipe := concurrency.NewElection(s, "e")
	if err := recipe.Campaign(t.Context(), "recipe"); err != nil {
		t.Fatal(err)
	}
	l, err := elections.Leader(t.Context(), &electionpb.LeaderRequest{Name: []byte("e")})
	if err != nil || string(l.Kv.Value) != "recipe" {
		t.Errorf("leader by the service: %v, %v", l, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	observed := recipe.Observe(ctx)
	if r := <-observed; string(r.Kvs[0].Value) != "recipe" {
		t.Errorf("observed by the recipe: %v", r.Kvs)
	}
	waiting := campaignLater(t.Context(), t, h, "e", "service", 7)
	if err := recipe.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	won := <-waiting
	if won.err != nil {
		t.Fatal(won.err)
	}
	if r := <-observed; string(r.Kvs[0].Value) != "service" || string(r.Kvs[0].Key) != "e/7" {
		t.Errorf("observed by the recipe: %v", r.Kvs)
	}
	// The recipe goes on with what the service won.
	resumed := concurrency.ResumeElection(s, "e", string(won.answer.Leader.Key), won.answer.Leader.Rev)
	if err := resumed.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(inQueue(t, h.store, "e")); n != 0 {
		t.Errorf("%d candidates are left", n)
	}
}
