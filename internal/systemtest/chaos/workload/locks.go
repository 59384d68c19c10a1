package workload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"herald/internal/systemtest/chaos/etcdclient"
	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// lockCount is how many locks of each kind there are. There are more clients, so that they are
// fought for.
const lockCount = 2

// lock is a key that can be held, and what it protects.
type lock struct {
	key string
	// mutex says that it is a Mutex of etcd's clients, a key prefix, rather than a key with a
	// lock on it.
	mutex bool
	// sessions says that it is held by sessions, over HTTP, and not by leases.
	sessions bool

	mu   sync.Mutex
	seen int64 // highest token
}

// write is a write to what the lock protects. It is refused to a token below one that
// was seen before.
func (l *lock) write(token int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if token < l.seen {
		return false
	}
	l.seen = token
	return true
}

func (r *Running) beginLocks() {
	var locks []*lock
	for i := range lockCount {
		locks = append(locks, &lock{key: fmt.Sprintf("lock/%d", i)})
	}
	if slices.ContainsFunc(r.servers, overEtcd) {
		for i := range lockCount {
			locks = append(locks, &lock{key: fmt.Sprintf("mutex/%d", i), mutex: true})
		}
	}
	if r.sessions() {
		for i := range lockCount {
			locks = append(locks, &lock{key: fmt.Sprintf("%s%d", sessionLockPrefix, i), sessions: true})
		}
	}
	n := max(r.cfg.Clients, 2*len(locks))
	for i := range n {
		l := locks[i%len(locks)]
		r.write(1, func(ctx context.Context, c *client) {
			for c.rest(ctx, c.cfg.Pause) {
				(&contender{client: c, lock: l}).run(ctx)
			}
		})
	}
}

// contender is a client that wants a lock, once.
type contender struct {
	*client
	lock  *lock
	mutex *etcdclient.Mutex // of a lock that is one
	// holder is what the lock is held with, delay its lock delay.
	holder history.Holder
	ttl    time.Duration
	delay  time.Duration
	token  int64
	// until is up to when the lease lives for certain: its time to live from before it was
	// last renewed.
	until time.Duration
}

// run takes the lock with a lease of its own, holds it for a while, and lets it go in one
// way or another. Every outcome that is not certain ends with the lease being revoked, or
// running out.
func (k *contender) run(ctx context.Context) {
	if !k.grant(ctx) {
		return
	}
	if k.lock.mutex {
		m, err := k.nearWith(overEtcd).Etcd.NewMutex(k.lock.key, k.holder.Lease)
		if err != nil {
			k.revoke(ctx)
			return
		}
		k.mutex = m
		defer m.Abandon()
	}
	held := k.acquire(ctx)
	if held {
		k.hold(ctx)
	}
	// Some holders die without a word, and the lock is free when the lease has run out.
	if held && k.chance(25) {
		return
	}
	if held && k.chance(50) {
		k.release(ctx)
	}
	k.revoke(ctx)
}

func (k *contender) grant(ctx context.Context) bool {
	k.ttl = k.cfg.TTL
	if k.lock.sessions {
		return k.beginSession(ctx)
	}
	s := k.near()
	return k.ask(ctx, s, "store", k.cfg.Patience, func(ctx context.Context) error {
		l, err := s.Store.GrantLease(ctx, 0, k.ttl)
		k.holder.Lease = l.ID
		return err
	}).Outcome == history.OK
}

func (k *contender) record(o history.Locked) {
	o.Lock, o.Holder, o.TTL, o.Delay = k.lock.key, k.holder, k.ttl, k.delay
	k.rec.Append(o)
}

// acquire tries until it has the lock, or the lease may have run out.
func (k *contender) acquire(ctx context.Context) bool {
	k.until = k.rec.Now() + k.ttl
	for k.rec.Now() < k.until && ctx.Err() == nil {
		o := history.Locked{Step: history.Acquire}
		s, via, take := k.near(), "store", k.take
		switch {
		case k.mutex != nil:
			via, take = "etcd", k.takeMutex
		case k.lock.sessions:
			s, via, take = k.nearWith(overHTTP), "http", k.takeWithSession
			if k.chance(50) {
				via, take = "txn", k.takeInTxn
			}
		}
		o.Span = k.ask(ctx, s, via, k.cfg.Patience, func(ctx context.Context) error { return take(ctx, s, &o) })
		k.record(o)
		switch {
		case o.Outcome == history.OK && !o.Missed:
			k.token = o.Token
			return k.renew(ctx) // the time that is certain begins with a renewal
		case o.Outcome == history.Unknown:
			return false
		}
		k.rest(ctx, 2*k.cfg.Pause)
	}
	return false
}

// take takes the lock if it is free.
func (k *contender) take(ctx context.Context, s *server, o *history.Locked) error {
	one := registry.RangeRequest{Space: registry.SpaceKV, KeyRange: registry.One(k.lock.key)}
	res, err := s.Store.Txn(ctx, registry.Txn{
		Compare: []registry.Compare{{Space: registry.SpaceKV, KeyRange: one.KeyRange, Target: registry.CompareLockHolder, Int: 0}},
		Then: []registry.Op{
			{Put: &registry.PutRequest{Space: registry.SpaceKV, Key: k.lock.key, Value: []byte(k.value()), Lock: registry.LockAcquire, Holder: k.holder.Lease}},
			{Range: &one},
		},
		Else: []registry.Op{{Range: &one}},
	})
	if err != nil {
		return err
	}
	if o.Missed = !res.Succeeded; o.Missed {
		return nil
	}
	found := res.Results[1].Range.KVs
	if len(found) != 1 || found[0].Lock.Holder != k.holder.Lease {
		return fmt.Errorf("lock %s was taken with lease %d, and is not held by it in the same step: %+v", k.lock.key, k.holder.Lease, found)
	}
	o.Token, o.Count = found[0].ModRevision, found[0].Lock.Count
	return nil
}

// takeMutex takes the mutex if it is free, through the server that it was made at.
func (k *contender) takeMutex(ctx context.Context, _ *server, o *history.Locked) error {
	token, taken, err := k.mutex.TryLock(ctx)
	o.Missed = err == nil && !taken
	o.Token, o.Count = token, uint64(token)
	return err
}

// hold writes to what the lock protects and renews the lease, mostly for a part of its life,
// sometimes for up to two.
func (k *contender) hold(ctx context.Context) {
	most := k.ttl / 2
	if k.chance(30) {
		most = 2 * k.ttl
	}
	end := k.rec.Now() + time.Duration(k.rng.Int64N(int64(most)))
	for k.rec.Now() < min(end, k.until) {
		now := k.rec.Now()
		o := history.Locked{Step: history.Guard, Token: k.token}
		o.Span = history.Span{Client: k.id, Call: now, Return: now, Outcome: history.OK}
		o.Missed = !k.lock.write(k.token)
		k.record(o)
		if !sleep(ctx, k.ttl/6) {
			return
		}
		if k.until-k.rec.Now() < 2*k.ttl/3 {
			k.renew(ctx)
		}
	}
}

// renew keeps the lease alive. It is false if that did not work.
func (k *contender) renew(ctx context.Context) bool {
	o := history.Locked{Step: history.Hold, Token: k.token}
	s, via := k.near(), "store"
	do := func(ctx context.Context) error { return s.keepAlive(ctx, k.holder.Lease) }
	if k.lock.sessions {
		s, via = k.nearWith(overHTTP), "http"
		do = func(ctx context.Context) error { return s.renewSession(ctx, k.holder.Session) }
	}
	o.Span = k.ask(ctx, s, via, k.ttl/4, func(ctx context.Context) error {
		err := do(ctx)
		if errors.Is(err, registry.ErrLeaseNotFound) {
			o.Missed, err = true, nil
		}
		return err
	})
	k.record(o)
	if o.Outcome != history.OK || o.Missed {
		return false
	}
	k.until = o.Call + k.ttl
	return true
}

// release gives the lock back.
func (k *contender) release(ctx context.Context) {
	o := history.Locked{Step: history.Release, Token: k.token}
	s := k.near()
	switch {
	case k.mutex != nil:
		o.Span = k.ask(ctx, s, "etcd", k.cfg.Patience, k.mutex.Unlock)
		k.record(o)
		return
	case k.lock.sessions:
		s = k.nearWith(overHTTP)
		o.Span = k.ask(ctx, s, "http", k.cfg.Patience, func(ctx context.Context) error { return k.freeWithSession(ctx, s, &o) })
		k.record(o)
		return
	}
	o.Span = k.ask(ctx, s, "store", k.cfg.Patience, func(ctx context.Context) error {
		res, err := s.Store.Txn(ctx, registry.Txn{
			Compare: []registry.Compare{{
				Space: registry.SpaceKV, KeyRange: registry.One(k.lock.key), Target: registry.CompareLockHolder, Int: int64(k.holder.Lease),
			}},
			Then: []registry.Op{{Put: &registry.PutRequest{
				Space: registry.SpaceKV, Key: k.lock.key, Value: []byte(k.value()), Lock: registry.LockRelease, Holder: k.holder.Lease,
			}}},
		})
		o.Missed = err == nil && !res.Succeeded
		return err
	})
	k.record(o)
}

// revoke ends the lease, and with it whatever came of an attempt to take the lock.
func (k *contender) revoke(ctx context.Context) {
	if k.lock.sessions {
		k.endSession(ctx)
		return
	}
	o := history.Locked{Step: history.Release, Token: k.token}
	s := k.near()
	o.Span = k.ask(ctx, s, "store", k.cfg.Patience, func(ctx context.Context) error {
		_, err := s.Store.RevokeLease(ctx, k.holder.Lease)
		if errors.Is(err, registry.ErrLeaseNotFound) {
			o.Missed, err = true, nil
		}
		return err
	})
	k.record(o)
}
