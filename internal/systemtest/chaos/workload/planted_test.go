package workload

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/internal/systemtest/chaos/check"
	"herald/registry"
	"herald/registry/storetest"
)

// planted is a store with a fault that shows now and then.
type planted struct {
	registry.Store
	memory *storetest.Memory

	mu  sync.Mutex
	rng *rand.Rand
}

// strikes is true once in so many times.
func (p *planted) strikes(once int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rng.IntN(once) == 0
}

// staleReads answers linearizable reads from the state of a while ago.
type staleReads struct{ *planted }

func (s staleReads) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	res, err := s.Store.Range(ctx, r)
	if err != nil || r.Consistency != registry.Linearizable || r.Revision != 0 || res.Revision < 10 || !s.strikes(20) {
		return res, err
	}
	r.Revision = res.Revision - 8
	old, err := s.Store.Range(ctx, r)
	if err != nil {
		return res, nil
	}
	old.Revision = r.Revision
	return old, nil
}

// lostWrites acknowledges writes that it forgets.
type lostWrites struct{ *planted }

func (s lostWrites) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	if !t.Writes() || len(t.Compare) > 0 || !s.strikes(50) {
		return s.Store.Txn(ctx, t)
	}
	res := registry.TxnResult{Succeeded: true, Revisions: s.memory.Status().Revisions, Results: make([]registry.OpResult, len(t.Then))}
	res.Revisions[registry.SpaceKV]++
	for i := range res.Results {
		res.Results[i].Put = &registry.PutResult{Revision: res.Revisions[registry.SpaceKV], Written: true}
		res.Results[i].Delete = &registry.DeleteResult{Revision: res.Revisions[registry.SpaceKV]}
	}
	return res, nil
}

// refusedWrites takes writes that it refuses.
type refusedWrites struct{ *planted }

func (s refusedWrites) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	res, err := s.Store.Txn(ctx, t)
	if err == nil && t.Writes() && s.strikes(50) {
		return registry.TxnResult{}, registry.ErrNoLeader
	}
	return res, err
}

// watchFault spoils what watchers deliver.
type watchFault struct {
	*planted
	spoil func(*planted, []registry.Commit) []registry.Commit
}

func (s watchFault) Watch(ctx context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	w, err := s.Store.Watch(ctx, r)
	return &spoiltWatcher{w, s}, err
}

type spoiltWatcher struct {
	registry.Watcher
	watchFault
}

func (w *spoiltWatcher) Next(ctx context.Context) ([]registry.Commit, error) {
	for {
		commits, err := w.Watcher.Next(ctx)
		if err != nil {
			return nil, err
		}
		if commits = w.spoil(w.planted, slices.Clone(commits)); len(commits) > 0 {
			return commits, nil
		}
	}
}

func dropped(p *planted, c []registry.Commit) []registry.Commit {
	if p.strikes(100) {
		return c[1:]
	}
	return c
}

func duplicated(p *planted, c []registry.Commit) []registry.Commit {
	if p.strikes(100) {
		return slices.Insert(c, 0, c[0])
	}
	return c
}

// shortened leaves out one change of a commit that has several.
func shortened(p *planted, c []registry.Commit) []registry.Commit {
	for i := range c {
		if len(c[i].Events) > 1 && p.strikes(3) {
			c[i].Events = c[i].Events[1:]
		}
	}
	return c
}

// earlyLeases ends some leases at half their time.
type earlyLeases struct{ *planted }

func (s earlyLeases) GrantLease(ctx context.Context, id registry.LeaseID, ttl time.Duration) (registry.Lease, error) {
	l, err := s.Store.GrantLease(ctx, id, ttl)
	if err == nil && s.strikes(4) {
		time.AfterFunc(ttl/2, func() { s.Store.RevokeLease(context.WithoutCancel(ctx), l.ID) })
	}
	return l, err
}

// lateLeases goes on renewing what its client has abandoned.
type lateLeases struct{ *planted }

func (s lateLeases) KeepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	l, err := s.Store.KeepAlive(ctx, id)
	if err == nil {
		for i := range time.Duration(4) {
			time.AfterFunc((i+1)*l.TTL*3/4, func() { s.Store.KeepAlive(context.WithoutCancel(ctx), id) })
		}
	}
	return l, err
}

// doubleLocks gives a lock to a second one while it is held.
type doubleLocks struct{ *planted }

func (s doubleLocks) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	if len(t.Compare) == 1 && t.Compare[0].Target == registry.CompareLockHolder && t.Compare[0].Int == 0 && s.strikes(10) {
		t.Compare = nil
	}
	return s.Store.Txn(ctx, t)
}

// staleAge says that stale reads are fresh which are not.
type staleAge struct{ *planted }

func (s staleAge) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	res, err := s.Store.Range(ctx, r)
	if err != nil || r.Consistency != registry.Stale || r.Revision != 0 || res.Revision < 60 {
		return res, err
	}
	r.Revision = res.Revision - 50
	old, err := s.Store.Range(ctx, r)
	if err != nil {
		return res, nil
	}
	old.Revision = r.Revision
	return old, nil
}

// lateWrites answers some writes with a timeout. They take effect later, or never.
type lateWrites struct{ *planted }

func (s lateWrites) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	if !t.Writes() || !s.strikes(4) {
		return s.Store.Txn(ctx, t)
	}
	if s.strikes(2) {
		s.mu.Lock()
		late := time.Duration(s.rng.Int64N(int64(5 * time.Second)))
		s.mu.Unlock()
		time.AfterFunc(late, func() { s.Store.Txn(context.WithoutCancel(ctx), t) })
	}
	return registry.TxnResult{}, registry.ErrTimeout
}

// TestWhatNobodyKnowsIsHeldAgainstNobody has a quarter of all writes end without an answer.
func TestWhatNobodyKnowsIsHeldAgainstNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.Open()
		defer store.Close()
		cfg := DefaultConfig()
		cfg.Kinds = []Kind{KV, Acks, Watches, Locks, Leases}
		all := endpoints(store, func(i int, s registry.Store) registry.Store {
			return lateWrites{&planted{Store: s, memory: store, rng: rand.New(rand.NewPCG(2, uint64(i)))}}
		})
		r := judge(t, cfg, 40*time.Second, all, nil)
		if !r.OK() {
			var b strings.Builder
			r.Print(&b)
			t.Errorf("a sound store did not pass:\n%s", b.String())
		}
	})
}

func TestPlantedFaultsAreCaught(t *testing.T) {
	for _, tc := range []struct {
		name  string
		plant func(p *planted) registry.Store
		kinds []Kind
		by    []string // checks, each of which has to find it
	}{
		{"stale read", func(p *planted) registry.Store { return staleReads{p} }, []Kind{KV}, []string{check.KV, check.Order}},
		{"lost write", func(p *planted) registry.Store { return lostWrites{p} }, []Kind{KV, Acks, Watches}, []string{check.KV, check.Acks, check.Watches}},
		{"refused write that happens", func(p *planted) registry.Store { return refusedWrites{p} }, []Kind{KV, Acks, Watches}, []string{check.KV, check.Acks, check.Watches}},
		{"dropped commit", func(p *planted) registry.Store { return watchFault{p, dropped} }, []Kind{KV, Acks, Watches}, []string{check.Watches}},
		{"duplicated commit", func(p *planted) registry.Store { return watchFault{p, duplicated} }, []Kind{KV, Watches}, []string{check.Watches}},
		{"dropped change", func(p *planted) registry.Store { return watchFault{p, shortened} }, []Kind{KV, Watches}, []string{check.Watches}},
		{"lease that ends early", func(p *planted) registry.Store { return earlyLeases{p} }, []Kind{Leases}, []string{check.Leases}},
		{"lease that ends late", func(p *planted) registry.Store { return lateLeases{p} }, []Kind{Leases}, []string{check.Leases}},
		{"lock given twice", func(p *planted) registry.Store { return doubleLocks{p} }, []Kind{Locks}, []string{check.Locks}},
		{"lock lost early", func(p *planted) registry.Store { return earlyLeases{p} }, []Kind{Locks}, []string{check.Locks}},
		{"age that is not true", func(p *planted) registry.Store { return staleAge{p} }, []Kind{KV}, []string{check.Stale}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := storetest.Open()
				defer store.Close()
				cfg := DefaultConfig()
				cfg.Kinds, cfg.Compact = tc.kinds, 0
				all := endpoints(store, func(i int, s registry.Store) registry.Store {
					return tc.plant(&planted{Store: s, memory: store, rng: rand.New(rand.NewPCG(1, uint64(i)))})
				})
				r := judge(t, cfg, 40*time.Second, all, nil)
				var b strings.Builder
				r.Print(&b)
				for _, c := range tc.by {
					if !r.Caught(c) {
						t.Errorf("%s did not find it:\n%s", c, b.String())
					}
				}
			})
		})
	}
}
