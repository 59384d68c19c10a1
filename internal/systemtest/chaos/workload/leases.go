package workload

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"herald/httpserver/api"
	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

const (
	leasePrefix = "lease/"
	// leasesPerClient is how many leases there are at a time for each client of Config.Clients:
	// they live long and ask little.
	leasesPerClient = 3
	// keysPerLease are attached to each lease, so that it shows whether they go together.
	keysPerLease = 2
)

// leaseClient keeps one lease after the other alive for a while, and ends it, or dies
// and looks what becomes of it.
func leaseClient(ctx context.Context, c *client) {
	for n := 1; c.rest(ctx, c.cfg.Pause); n++ {
		l := &leaseholder{client: c, prefix: fmt.Sprintf("%s%d/%d/", leasePrefix, c.id, n)}
		l.ttl = c.ttl()
		l.sessions = c.sessions() && c.chance(30)
		l.run(ctx)
	}
}

// ttl picks the time to live of a lease.
func (c *client) ttl() time.Duration {
	return (c.cfg.TTL + time.Duration(c.rng.Int64N(int64(c.cfg.TTL)))).Truncate(time.Millisecond)
}

// leaseholder is a client with a lease, or with a session that does what a lease does: the keys
// that it has locked are deleted when it ends.
type leaseholder struct {
	*client
	prefix   string // of its keys
	sessions bool
	holder   history.Holder
	ttl      time.Duration
	// renewed is when it was last renewed for certain.
	renewed time.Duration
	at      int // server that is asked next
}

func (l *leaseholder) run(ctx context.Context) {
	if !l.grant(ctx) {
		return
	}
	alive := l.keep(ctx, l.rec.Now()+l.ttl+time.Duration(l.rng.Int64N(4*int64(l.ttl))))
	switch {
	case !alive:
		return
	case l.chance(60):
		l.abandon(ctx)
	default:
		l.revoke(ctx)
	}
}

func (l *leaseholder) record(o history.Leased) {
	o.Holder, o.TTL = l.holder, l.ttl
	l.rec.Append(o)
}

// nextServer takes turns, so that a lease is renewed through every server.
func (l *leaseholder) nextServer() *server {
	l.at++
	return l.servers[l.at%len(l.servers)]
}

// grant makes the lease and attaches the keys to it. A lease of which that is not certain
// is left to run out, and nothing is said of it.
func (l *leaseholder) grant(ctx context.Context) bool {
	l.at = l.rng.IntN(len(l.servers))
	s := l.nextServer()
	o := history.Leased{Step: history.Grant}
	via, do := "store", func(ctx context.Context) error { return l.grantLease(ctx, s, &o) }
	if l.sessions {
		s, via = l.nearWith(overHTTP), "http"
		do = func(ctx context.Context) error { return l.lockKeys(ctx, s, &o) }
	}
	o.Span = l.ask(ctx, s, via, l.cfg.Patience, do)
	l.record(o)
	l.renewed = o.Call
	return o.Outcome == history.OK
}

// grantLease makes the lease, and its keys.
func (l *leaseholder) grantLease(ctx context.Context, s *server, o *history.Leased) error {
	granted, err := s.Store.GrantLease(ctx, 0, l.ttl)
	if err != nil {
		return err
	}
	l.holder.Lease = granted.ID
	var t registry.Txn
	for i := range keysPerLease {
		key := fmt.Sprintf("%s%d", l.prefix, i)
		o.Keys = append(o.Keys, key)
		t.Then = append(t.Then, registry.Op{Put: &registry.PutRequest{
			Space: registry.SpaceKV, Key: key, Value: []byte(l.value()), Lease: l.holder.Lease,
		}})
	}
	_, err = s.Store.Txn(ctx, t)
	return err
}

// keep renews the lease in thirds of its life until then, and looks now and then
// whether its keys are there. It is false once the lease is gone.
func (l *leaseholder) keep(ctx context.Context, until time.Duration) bool {
	for l.rec.Now() < until {
		if !sleep(ctx, l.renewed+l.ttl/3-l.rec.Now()) {
			return false
		}
		if l.renew(ctx) {
			return false
		}
		if l.chance(30) && l.look(ctx, l.ttl/6) {
			return false
		}
	}
	return ctx.Err() == nil
}

// renew asks one server after the other until one has renewed the lease. It is true if the
// lease is gone.
func (l *leaseholder) renew(ctx context.Context) (gone bool) {
	for ctx.Err() == nil {
		s := l.nextServer()
		if l.sessions && !overHTTP(s) {
			continue
		}
		o := history.Leased{Step: history.Renew}
		via, do := "store", s.keepAlive
		switch n := l.rng.IntN(100); {
		case l.sessions:
			via, do = "http", func(ctx context.Context, _ registry.LeaseID) error { return s.renewSession(ctx, l.holder.Session) }
		case s.HTTP != "" && n < 30:
			via, do = "http", s.keepAliveHTTP
		case s.Etcd != nil && n < 60:
			via, do = "etcd", s.keepAliveEtcd
		}
		o.Span = l.ask(ctx, s, via, l.ttl/6, func(ctx context.Context) error {
			err := do(ctx, l.holder.Lease)
			if errors.Is(err, registry.ErrLeaseNotFound) {
				o.Gone, err = true, nil
			}
			return err
		})
		l.record(o)
		if o.Outcome == history.OK {
			l.renewed = o.Call
			return o.Gone
		}
		sleep(ctx, 50*time.Millisecond)
	}
	return false
}

// look reads the keys. It is true if there is none.
func (l *leaseholder) look(ctx context.Context, patience time.Duration) (gone bool) {
	s := l.near()
	o := history.Leased{Step: history.Look}
	o.Span = l.ask(ctx, s, "store", patience, func(ctx context.Context) error {
		res, err := s.Store.Range(ctx, registry.RangeRequest{Space: registry.SpaceKV, KeyRange: registry.Prefix(l.prefix)})
		o.Found = len(res.KVs)
		return err
	})
	o.Gone = o.Outcome == history.OK && o.Found == 0
	l.record(o)
	return o.Gone
}

// abandon renews no more, and looks until the keys are gone. Whether they took too long is
// not for the client to say.
func (l *leaseholder) abandon(ctx context.Context) {
	now := l.rec.Now()
	l.record(history.Leased{Step: history.Abandon, Span: history.Span{Client: l.id, Call: now, Return: now, Outcome: history.OK}})
	for sleep(ctx, l.ttl/3) {
		if l.look(ctx, l.cfg.Patience) {
			return
		}
	}
}

func (l *leaseholder) revoke(ctx context.Context) {
	s := l.nextServer()
	o := history.Leased{Step: history.Revoke}
	via, do := "store", func(ctx context.Context) error { _, err := s.Store.RevokeLease(ctx, l.holder.Lease); return err }
	if l.sessions {
		s, via = l.nearWith(overHTTP), "http"
		do = func(ctx context.Context) error { return s.destroySession(ctx, l.holder.Session) }
	}
	o.Span = l.ask(ctx, s, via, l.cfg.Patience, do)
	l.record(o)
}

func (s *server) keepAlive(ctx context.Context, id registry.LeaseID) error {
	_, err := s.Store.KeepAlive(ctx, id)
	return err
}

func (s *server) keepAliveHTTP(ctx context.Context, id registry.LeaseID) error {
	_, err := s.send(ctx, http.MethodPut, "/v1/lease/keepalive/"+api.LeaseID(id).String(), nil)
	return err
}

func (s *server) keepAliveEtcd(ctx context.Context, id registry.LeaseID) error {
	_, err := s.Etcd.KeepAlive(ctx, id)
	return err
}
