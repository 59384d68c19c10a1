package storetest

import (
	"errors"
	"sync"
	"time"

	"herald/registry"
)

// expiryCases are leases that run out. They wait for real seconds, and share them. How long a
// machine that is busy takes for a few calls is nobody's promise: a lease that ended before they
// were made is no failure if it had its time, and the next one gets twice as much.
var expiryCases = []testCase{
	{"by its time to live, never early", func(s *subject) {
		w := s.watch(registry.WatchRequest{KeyRange: registry.Prefix("dies/")})
		l := s.leased(500*time.Millisecond, func(id registry.LeaseID) []registry.Op {
			return []registry.Op{
				op(registry.PutRequest{Key: "dies/a", Lease: id}),
				op(registry.PutRequest{Key: "dies/b", Lease: id}),
				op(registry.PutRequest{Key: "stays/locked", Lock: registry.LockAcquire, Holder: id}),
			}
		})
		s.sees(w, "2:dies/a=,dies/b=")
		end := s.next(w, 1)[0]
		s.notEarly(l)
		s.equal("its keys", showCommits([]registry.Commit{end}), "3:-dies/a,-dies/b")
		s.equal("Why", end.Origin.Why, registry.ReasonLeaseEnd)
		_, err := s.KeepAlive(s.ctx, l.ID)
		s.isError("KeepAlive afterwards", err, registry.ErrLeaseNotFound)
		s.equal("the lock it held", s.mustGet("stays/locked").Lock, registry.Lock{Count: 1})
	}},
	{"kept alive it lives", func(s *subject) {
		l := leased{Lease: registry.Lease{TTL: 1500 * time.Millisecond}}
		var w registry.Watcher
		for lived := false; !lived; {
			l = s.leased(l.TTL, func(id registry.LeaseID) []registry.Op {
				return []registry.Op{op(registry.PutRequest{Key: "a", Lease: id})}
			})
			w = s.watch(registry.WatchRequest{KeyRange: registry.One("a"), SkipPuts: true})
			if lived = s.keepAlive(&l, 9); !lived {
				w.Close()
				l.TTL *= 2
			}
		}
		end := s.next(w, 1)[0]
		s.notEarly(l)
		s.equal("its keys", showCommits([]registry.Commit{{Events: end.Events}}), "0:-a")
	}},
	{"many at once", func(s *subject) {
		const leases = 100
		w := s.watch(registry.WatchRequest{KeyRange: registry.All(), SkipPuts: true})
		last := func(id registry.LeaseID) []registry.Op {
			return []registry.Op{op(registry.PutRequest{Key: "last", Lease: id})}
		}
		const ttl = 500 * time.Millisecond
		s.leased(ttl, last) // so that the key is there, and goes
		var granting sync.WaitGroup
		for range leases {
			granting.Go(func() {
				l, err := s.GrantLease(s.ctx, 0, ttl)
				if err != nil {
					s.Errorf("GrantLease: %v", err)
					return
				}
				// It may have ended by now, on a machine that is very busy.
				_, _ = s.Txn(s.ctx, registry.Txn{Then: last(l.ID)})
			})
		}
		forever := s.grant(registry.NoTTL)
		granting.Wait()
		s.next(w, 1)
		s.eventually("only the lease without end is left", func() bool {
			ids, err := s.ListLeases(s.ctx)
			if err != nil {
				s.Fatalf("ListLeases: %v", err)
			}
			return len(ids) == 1 && ids[0] == forever
		})
	}},
}

// leased is a lease, and when its time began anew at the earliest.
type leased struct {
	registry.Lease
	renewed time.Time
}

// leased grants a lease that lives for ttl and writes what is attached to it, as one transaction.
// Where that took longer than the lease lived it does both again, with twice the time.
func (s *subject) leased(ttl time.Duration, attached func(registry.LeaseID) []registry.Op) leased {
	s.Helper()
	for ; ; ttl *= 2 {
		l := leased{Lease: registry.Lease{TTL: ttl}, renewed: time.Now()}
		l.ID = s.grant(ttl)
		_, err := s.Txn(s.ctx, registry.Txn{Then: attached(l.ID)})
		if err == nil {
			return l
		}
		if !errors.Is(err, registry.ErrLeaseNotFound) || s.ctx.Err() != nil {
			s.Fatalf("Txn with a lease of %v: %v", ttl, err)
		}
		s.notEarly(l)
	}
}

// keepAlive keeps a lease alive n times, six times in its time to live if the machine can. It is
// false if the lease ended first because the machine could not.
func (s *subject) keepAlive(l *leased, n int) bool {
	s.Helper()
	tick := time.NewTicker(l.TTL / 6)
	defer tick.Stop()
	for range n {
		<-tick.C
		began := time.Now()
		got, err := s.KeepAlive(s.ctx, l.ID)
		switch {
		case errors.Is(err, registry.ErrLeaseNotFound):
			s.notEarly(*l)
			return false
		case err != nil:
			s.Fatalf("KeepAlive: %v", err)
		case got.TTL != l.TTL || got.Remaining <= 0 || got.Remaining > l.TTL:
			s.Errorf("KeepAlive: got %+v", got)
		}
		l.renewed = began
	}
	return true
}

// notEarly fails the test if a lease that has ended did not have its time.
func (s *subject) notEarly(l leased) {
	s.Helper()
	if took := time.Since(l.renewed); took < l.TTL {
		s.Errorf("ended %v after its time to live of %v began", took, l.TTL)
	}
}
