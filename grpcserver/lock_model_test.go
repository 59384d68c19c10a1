package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"herald/grpcserver/lockpb"
	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// lockStep is one thing that happens to a lock.
type lockStep struct {
	what  string
	lease int64
}

const lockLeases = 4

func drawLockSteps(t *rapid.T) []lockStep {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) lockStep {
		return lockStep{
			what: rapid.SampledFrom([]string{
				"lock", "lock", "lock", "give up", "unlock", "revoke", "let run out", "replace", "compact", "restore", "outage",
			}).Draw(t, "what"),
			lease: rapid.Int64Range(1, lockLeases).Draw(t, "lease"),
		}
	}), 1, 40).Draw(t, "steps")
}

// lockCall is a call of Lock, and what became of it.
type lockCall struct {
	lease    int64
	revision int64 // of its key
	giveUp   context.CancelFunc
	gaveUp   bool
	done     atomic.Bool // and err is what it returned
	err      error
}

// lockRun is one history of a lock, in a bubble of fake time.
type lockRun struct {
	store *storetest.Memory
	locks *lockService
	calls []*lockCall
	wrong []string
}

// TestLockHasOneHolderAtATime lets leases end and clients go at any time. After each step,
// when everything has come to rest, the lock must be with the first of the queue, and with
// nobody else: every call that waits has a place in it that is not the first.
func TestLockHasOneHolderAtATime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := drawLockSteps(rt)
		var wrong []string
		synctest.Test(t, func(t *testing.T) { wrong = runLock(t, steps) })
		if len(wrong) > 0 {
			rt.Fatalf("%v:\n%s", steps, strings.Join(wrong, "\n"))
		}
	})
}

func runLock(t *testing.T, steps []lockStep) []string {
	m := storetest.NewMemory(t)
	c := newCore(DefaultConfig(), &plugin.Host{Store: m, Cluster: m, Log: slog.New(slog.DiscardHandler)})
	r := &lockRun{store: m, locks: &lockService{core: c}}
	defer func() {
		for _, call := range r.calls {
			call.giveUp()
		}
		synctest.Wait()
	}()
	for i, s := range steps {
		r.step(s)
		synctest.Wait()
		r.check(fmt.Sprintf("after step %d, %s %d", i, s.what, s.lease))
	}
	return r.wrong
}

func (r *lockRun) step(s lockStep) {
	ctx := context.Background()
	id, key := registry.LeaseID(s.lease), fmt.Sprintf("l/%x", s.lease)
	switch s.what {
	case "lock":
		r.lock(s.lease)
	case "give up":
		for _, call := range r.calls {
			if call.lease == s.lease {
				call.gaveUp = true
				call.giveUp()
			}
		}
	case "unlock":
		_, err := r.locks.Unlock(ctx, &lockpb.UnlockRequest{Key: []byte(key)})
		r.ok(err)
	case "revoke":
		_, _ = r.store.RevokeLease(ctx, id) // there may be none
	case "let run out":
		time.Sleep(40 * time.Second) // leases were granted a minute, at different times
	case "replace": // another client puts its own key there, as one transaction
		_, err := r.store.Txn(ctx, registry.Txn{Then: []registry.Op{
			{Delete: &registry.DeleteRequest{KeyRange: registry.One(key)}},
			{Put: &registry.PutRequest{Key: key}},
		}})
		r.ok(err)
	case "compact":
		_ = r.store.Compact(ctx, registry.SpaceKV, r.store.Status().Revisions[registry.SpaceKV])
	case "restore":
		snapshot, err := r.store.Snapshot()
		r.ok(err)
		r.ok(r.store.Restore(snapshot))
	case "outage":
		r.store.SetOutage(registry.ErrNoLeader)
		time.Sleep(time.Second)
		r.store.SetOutage(nil)
	}
}

func (r *lockRun) ok(err error) {
	if err != nil {
		r.wrong = append(r.wrong, err.Error())
	}
}

// lock calls Lock under a lease, which is granted if there is none.
func (r *lockRun) lock(lease int64) {
	_, _ = r.store.GrantLease(context.Background(), registry.LeaseID(lease), time.Minute)
	ctx, cancel := context.WithCancel(context.Background())
	call := &lockCall{lease: lease, giveUp: cancel}
	r.calls = append(r.calls, call)
	go func() {
		_, call.err = r.locks.Lock(ctx, &lockpb.LockRequest{Name: []byte("l"), Lease: lease})
		call.done.Store(true)
	}()
	synctest.Wait()
	for _, kv := range r.queue() {
		if kv.Key == fmt.Sprintf("l/%x", lease) {
			call.revision = kv.CreateRevision
		}
	}
	if call.revision == 0 {
		r.wrong = append(r.wrong, fmt.Sprintf("lease %d asked for the lock and has no place", lease))
	}
}

func (r *lockRun) queue() []registry.KeyValue {
	q := first("l/")
	q.Limit = 0
	res, err := r.store.Range(context.Background(), *q)
	r.ok(err)
	return res.KVs
}

// check compares who has been told that they hold the lock with the queue.
func (r *lockRun) check(when string) {
	queue := r.queue()
	place := map[int64]int{} // by the revision that created the key
	for i, kv := range queue {
		place[kv.CreateRevision] = i + 1
	}
	for _, call := range r.calls {
		at, done := place[call.revision], call.done.Load()
		switch {
		case done && call.err != nil && at != 0:
			r.wrong = append(r.wrong, fmt.Sprintf("%s: lease %d failed with %v and is number %d", when, call.lease, call.err, at))
		case done && call.err != nil && !errors.Is(call.err, errLockLost) && !call.gaveUp:
			r.wrong = append(r.wrong, fmt.Sprintf("%s: lease %d failed with %v", when, call.lease, call.err))
		case !done && at == 0:
			r.wrong = append(r.wrong, fmt.Sprintf("%s: lease %d waits without a place", when, call.lease))
		case !done && at == 1:
			r.wrong = append(r.wrong, fmt.Sprintf("%s: lease %d is first and waits", when, call.lease))
		case done && call.err == nil && at > 1:
			r.wrong = append(r.wrong, fmt.Sprintf("%s: lease %d was told that it holds the lock, and is number %d", when, call.lease, at))
		}
	}
}
