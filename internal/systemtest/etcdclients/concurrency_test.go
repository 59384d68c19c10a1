//go:build e2e

package etcdclients

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"herald/internal/systemtest/process"
)

func session(t *testing.T, c *clientv3.Client, opts ...concurrency.SessionOption) *concurrency.Session {
	t.Helper()
	s, err := concurrency.NewSession(c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMutex has sessions of several clients count in turns, without a compare: only the mutex keeps
// them from losing a count.
func TestMutex(t *testing.T) {
	t.Parallel()
	const clients, turns = 6, 15
	p := one(t)
	counter := connect(t, p.Etcd)
	var wg sync.WaitGroup
	for range clients {
		s := session(t, connect(t, p.Etcd))
		wg.Go(func() {
			defer s.Close()
			m := concurrency.NewMutex(s, "lock")
			for range turns {
				if err := m.Lock(t.Context()); err != nil {
					t.Error(err)
					return
				}
				r, err := counter.Get(t.Context(), "count")
				if err != nil {
					t.Error(err)
					return
				}
				n := 0
				if len(r.Kvs) > 0 {
					n, _ = strconv.Atoi(string(r.Kvs[0].Value))
				}
				// What the mutex's owner alone may do.
				put, err := counter.Txn(t.Context()).If(m.IsOwner()).Then(clientv3.OpPut("count", strconv.Itoa(n+1))).Commit()
				if err != nil || !put.Succeeded {
					t.Errorf("the owner's transaction: %v, %v", put, err)
				}
				if err := m.Unlock(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got, _ := get(t, counter, "count"); got != strconv.Itoa(clients*turns) {
		t.Errorf("%s turns were counted, want %d", got, clients*turns)
	}

	// Who does not come back gives it up when the session's lease ends.
	gone := session(t, counter, concurrency.WithTTL(1))
	if err := concurrency.NewMutex(gone, "lock").TryLock(soon(t)); err != nil {
		t.Fatal(err)
	}
	heir := session(t, counter)
	m := concurrency.NewMutex(heir, "lock")
	if err := m.TryLock(soon(t)); !errors.Is(err, concurrency.ErrLocked) {
		t.Errorf("TryLock of what is held: %v", err)
	}
	gone.Orphan()
	if err := m.Lock(soon(t)); err != nil {
		t.Errorf("after the holder's session: %v", err)
	}
	if err := heir.Close(); err != nil {
		t.Error(err)
	}
	if r, err := counter.Get(soon(t), "lock/", clientv3.WithPrefix()); err != nil || r.Count != 0 {
		t.Errorf("left of the locks: %v, %v", r, err)
	}
}

func TestElection(t *testing.T) {
	t.Parallel()
	p := one(t)
	c := connect(t, p.Etcd)
	one, two := session(t, c), session(t, connect(t, p.Etcd))
	first, second := concurrency.NewElection(one, "e"), concurrency.NewElection(two, "e")
	if _, err := first.Leader(soon(t)); !errors.Is(err, concurrency.ErrElectionNoLeader) {
		t.Errorf("before any: %v", err)
	}
	observed := second.Observe(t.Context())
	hear := func(want string) {
		t.Helper()
		select {
		case r := <-observed:
			if got := string(r.Kvs[0].Value); got != want {
				t.Errorf("observed %q, want %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%q was not observed within 30 s", want)
		}
	}
	if err := first.Campaign(soon(t), "one"); err != nil {
		t.Fatal(err)
	}
	hear("one")
	won := make(chan error, 1)
	go func() { won <- second.Campaign(t.Context(), "two") }()
	process.Eventually(t, 20*time.Second, "two candidates", func() error {
		if r, err := c.Get(soon(t), "e/", clientv3.WithPrefix()); err != nil || r.Count != 2 {
			return fmt.Errorf("%v, %v", r, err)
		}
		return nil
	})
	if err := first.Proclaim(soon(t), "still one"); err != nil {
		t.Error(err)
	}
	hear("still one")
	if r, err := second.Leader(soon(t)); err != nil || string(r.Kvs[0].Value) != "still one" {
		t.Errorf("the leader: %v, %v", r, err)
	}
	select {
	case err := <-won:
		t.Fatalf("the second was elected beside the first: %v", err)
	default:
	}
	if err := first.Resign(soon(t)); err != nil {
		t.Error(err)
	}
	if err := <-won; err != nil {
		t.Error(err)
	}
	hear("two")
	// One that goes on with what another process of its own has won.
	resumed := concurrency.ResumeElection(two, "e", second.Key(), second.Rev())
	if err := resumed.Proclaim(soon(t), "two again"); err != nil {
		t.Error(err)
	}
	hear("two again")
	one.Close()
	two.Close()
	if _, err := first.Leader(soon(t)); !errors.Is(err, concurrency.ErrElectionNoLeader) {
		t.Errorf("after all: %v", err)
	}
}

// TestSTM moves between accounts under contention: the sum stays, and no transfer is lost.
func TestSTM(t *testing.T) {
	t.Parallel()
	const workers, transfers, accounts = 5, 20, 3
	c := connect(t, one(t).Etcd)
	for name, level := range map[string]concurrency.Isolation{
		"serializable snapshot": concurrency.SerializableSnapshot, "serializable": concurrency.Serializable, "repeatable reads": concurrency.RepeatableReads,
	} {
		t.Run(name, func(t *testing.T) {
			account := func(i int) string { return fmt.Sprintf("%s/%d", name, i%accounts) }
			for i := range accounts {
				put(t, c, account(i), "1000")
			}
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					for n := range transfers {
						from, to := account(w+n), account(w+n+1)
						_, err := concurrency.NewSTM(c, func(s concurrency.STM) error {
							a, _ := strconv.Atoi(s.Get(from))
							b, _ := strconv.Atoi(s.Get(to))
							s.Put(from, strconv.Itoa(a-n))
							s.Put(to, strconv.Itoa(b+n))
							done, _ := strconv.Atoi(s.Get(name + "/done"))
							s.Put(name+"/done", strconv.Itoa(done+1))
							return nil
						}, concurrency.WithIsolation(level), concurrency.WithAbortContext(t.Context()))
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			sum := 0
			for i := range accounts {
				v, _ := get(t, c, account(i))
				n, err := strconv.Atoi(v)
				if err != nil {
					t.Error(err)
				}
				sum += n
			}
			if done, _ := get(t, c, name+"/done"); sum != 1000*accounts || done != strconv.Itoa(workers*transfers) {
				t.Errorf("the sum is %d after %s transfers", sum, done)
			}
		})
	}
}

// TestMutexWithoutItsLeader kills the leader of three while a mutex is held: it stays held, and goes
// to who waits only when its holder lets go.
func TestMutexWithoutItsLeader(t *testing.T) {
	t.Parallel()
	trio := three(t)
	holding, waiting := session(t, connect(t, trio.Etcd[:]...), concurrency.WithTTL(5)), session(t, connect(t, trio.Etcd[:]...), concurrency.WithTTL(5))
	held := concurrency.NewMutex(holding, "m")
	if err := held.Lock(soon(t)); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	next := concurrency.NewMutex(waiting, "m")
	go func() { got <- next.Lock(ctx) }()
	process.Eventually(t, 20*time.Second, "two in the queue", func() error { // joining it is not repeated by clientv3
		if r, err := holding.Client().Get(soon(t), "m/", clientv3.WithPrefix()); err != nil || r.Count != 2 {
			return fmt.Errorf("%v, %v", r, err)
		}
		return nil
	})
	trio.Servers[leaderOf(t, trio)].Kill()
	select {
	case err := <-got:
		t.Fatalf("who waits was answered while the mutex was held: %v", err)
	case <-holding.Done():
		t.Fatal("the holder's session has ended")
	case <-time.After(8 * time.Second): // longer than the leases
	}
	if err := held.Unlock(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if r, err := holding.Client().Txn(soon(t)).If(next.IsOwner()).Commit(); err != nil || !r.Succeeded {
		t.Errorf("who waited owns it: %v, %v", r, err)
	}
}
