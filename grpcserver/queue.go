package grpcserver

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"herald/registry"
)

// Locks and elections are queues. Each place in one is a key name/lease, with the lease in
// hexadecimal, that ends with its lease; the one that was created first has its turn. It
// is what the clients' own recipes (clientv3/concurrency) do with the same keys, so that
// these and the services stand in the same queues.

const (
	// ownTTL is how long a lease lives that the door made for a client that gave none. It is
	// kept alive while the client waits, and no longer.
	ownTTL = 60 * time.Second
	// renewEvery is how often that is done, and renewAgain how long after it could not be.
	renewEvery = ownTTL / 3
	renewAgain = time.Second
	// leaveTimeout bounds the giving up of a place whose client has gone.
	leaveTimeout = 5 * time.Second
)

// place is a place in a queue.
type place struct {
	*core
	prefix string // of the keys of the queue
	key    string
	lease  registry.LeaseID
	own    bool        // the lease was made for this place
	renew  *time.Timer // when the own lease is to be kept alive, while the place is waited in
	// created is the revision at which the key was created. A key of this name with
	// another is another place.
	created int64
	// found is the key as the lease had it already, nil if it was created.
	found *registry.KeyValue
	// turn is the revision at which the place was seen to have its turn, 0 as long as
	// it was not.
	turn int64
}

// queueUp takes a place in a queue, or finds the one that the lease has.
func (c *core) queueUp(ctx context.Context, name []byte, lease int64, value []byte) (*place, error) {
	if err := c.alarms.refuseGrowth(); err != nil {
		return nil, err
	}
	p := &place{core: c, prefix: queuePrefix(name), lease: registry.LeaseID(lease)}
	if lease == 0 {
		l, err := c.store.GrantLease(ctx, 0, ownTTL)
		if err != nil {
			return nil, err
		}
		p.lease, p.own = l.ID, true
	}
	p.key = p.prefix + strconv.FormatInt(int64(p.lease), 16)
	if err := p.create(ctx, value); err != nil {
		if p.own {
			p.leave(ctx)
		}
		return nil, err
	}
	return p, nil
}

// queuePrefix is what the keys of a queue begin with.
func queuePrefix(name []byte) string { return string(name) + "/" }

// first reads the place that was created first.
func first(prefix string) *registry.RangeRequest {
	return &registry.RangeRequest{KeyRange: registry.Prefix(prefix), SortTarget: registry.SortByCreate, SortOrder: registry.SortAscend, Limit: 1}
}

func (p *place) create(ctx context.Context, value []byte) error {
	one := registry.One(p.key)
	res, err := p.store.Txn(ctx, registry.Txn{
		Compare: []registry.Compare{{KeyRange: one, Target: registry.CompareCreate, Result: registry.Equal}},
		Then:    []registry.Op{{Put: &registry.PutRequest{Key: p.key, Value: value, Lease: p.lease}}, {Range: first(p.prefix)}},
		Else:    []registry.Op{{Range: &registry.RangeRequest{KeyRange: one}}, {Range: first(p.prefix)}},
	})
	if err != nil {
		return err
	}
	revision := res.Revisions[registry.SpaceKV]
	p.created = revision
	if !res.Succeeded {
		p.found = &res.Results[0].Range.KVs[0]
		p.created = p.found.CreateRevision
	}
	if res.Results[1].Range.KVs[0].CreateRevision == p.created {
		p.turn = revision
	}
	return nil
}

// errNoPlace is returned when a place in a queue was lost while it was waited in: its lease
// has ended, or somebody deleted its key.
var errNoPlace = errors.New("the place in the queue has gone")

// await waits until the place has its turn. If it cannot have it, or ctx ends, the
// place is given up.
func (p *place) await(ctx context.Context) error {
	if p.turn != 0 {
		return nil
	}
	err := p.waitInLine(ctx)
	if err == nil {
		err = ctx.Err() // nobody is there to be told
	}
	if err != nil && (p.own || !errors.Is(err, errNoPlace)) {
		p.leave(ctx)
	}
	return err
}

func (p *place) waitInLine(ctx context.Context) error {
	if p.own {
		p.renew = time.NewTimer(renewEvery)
		defer p.renew.Stop()
	}
	for {
		revision, before, err := p.look(ctx)
		if err != nil {
			return err
		}
		if before == "" {
			p.turn = revision
			return nil
		}
		if err := p.untilDeleted(ctx, revision+1, before); err != nil {
			return err
		}
	}
}

// look returns the key that the place comes after, "" if it is first, as of a revision.
func (p *place) look(ctx context.Context) (revision int64, before string, err error) {
	res, err := p.store.Txn(ctx, registry.Txn{Then: []registry.Op{
		{Range: &registry.RangeRequest{KeyRange: registry.One(p.key), KeysOnly: true}},
		{Range: &registry.RangeRequest{
			KeyRange: registry.Prefix(p.prefix), KeysOnly: true, MaxCreateRevision: p.created - 1,
			SortTarget: registry.SortByCreate, SortOrder: registry.SortDescend, Limit: 1,
		}},
	}})
	if err != nil {
		return 0, "", err
	}
	self, earlier := res.Results[0].Range.KVs, res.Results[1].Range.KVs
	if len(self) == 0 || self[0].CreateRevision != p.created {
		return 0, "", errNoPlace
	}
	if len(earlier) > 0 {
		before = earlier[0].Key
	}
	return res.Revisions[registry.SpaceKV], before, nil
}

// untilDeleted waits until, at revision from or later, the place's own key or another has been
// deleted, or may have been.
func (p *place) untilDeleted(ctx context.Context, from int64, other string) error {
	var renew <-chan time.Time
	if p.own {
		renew = p.renew.C
	}
	ready := make(chan struct{}, 1)
	var watchers [2]registry.Watcher
	for i, key := range [...]string{p.key, other} {
		w, err := p.store.Watch(ctx, registry.WatchRequest{
			KeyRange: registry.One(key), StartRevision: from,
			Ready: func() {
				select {
				case ready <- struct{}{}:
				default:
				}
			},
		})
		if err != nil {
			return watchEnded(err)
		}
		defer w.Close()
		watchers[i] = w
	}
	for {
		for _, w := range watchers {
			if deleted, err := pollDeleted(w); deleted || err != nil {
				return watchEnded(err)
			}
		}
		select {
		case <-ready:
		case <-renew:
			if err := p.keepAlive(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// keepAlive keeps the place's own lease alive, and sees to it that it is called again. That the
// lease has ended is seen by the place's key, and by nothing else: without a leader no lease
// ends, and the next leader starts their time anew.
func (p *place) keepAlive(ctx context.Context) error {
	switch _, err := p.store.KeepAlive(ctx, p.lease); {
	case err == nil, errors.Is(err, registry.ErrLeaseNotFound):
		p.renew.Reset(renewEvery)
	case passes(err):
		p.renew.Reset(renewAgain)
	default:
		return err
	}
	return nil
}

// passes says that what failed may be done when it is tried again.
func passes(err error) bool {
	return errors.Is(err, registry.ErrNoLeader) || errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrTimeout)
}

// pollDeleted reports whether what is watched has been deleted, also if it was created anew
// in the same transaction.
func pollDeleted(w registry.Watcher) (bool, error) {
	for {
		commits, err := w.Poll()
		if err != nil || len(commits) == 0 {
			return false, err
		}
		for i := range commits {
			if slices.ContainsFunc(commits[i].Events, isAnother) {
				return true, nil
			}
		}
	}
}

// isAnother reports whether a key that there was is, after an event, no longer there, or
// there is another of its name.
func isAnother(e registry.Event) bool { return e.Type == registry.EventDelete || e.IsCreate() }

// watchEnded is why a watch ended, nil if what was watched is to be read anew.
func watchEnded(err error) error {
	if errors.Is(err, registry.ErrCompacted) || errors.Is(err, registry.ErrWatchReset) {
		return nil
	}
	return err
}

// leave gives the place up. It is for one whose client may be gone, so it does not end with
// ctx. Where it fails, the lease's end does it.
func (p *place) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	var err error
	if p.own {
		_, err = p.store.RevokeLease(ctx, p.lease)
	} else {
		_, err = p.remove(ctx, p.key, p.created)
	}
	if err != nil && !errors.Is(err, registry.ErrLeaseNotFound) {
		p.log.Warn("etcd: a place in a queue could not be given up; it ends with its lease", "key", p.key, "lease", int64(p.lease), "error", err)
	}
}

// remove deletes a place's key, unless it is another place's by now, and returns the revision.
func (c *core) remove(ctx context.Context, key string, created int64) (revision int64, err error) {
	res, err := c.store.Txn(ctx, registry.Txn{
		Compare: []registry.Compare{createdAt(key, created)},
		Then:    []registry.Op{{Delete: &registry.DeleteRequest{KeyRange: registry.One(key)}}},
	})
	return res.Revisions[registry.SpaceKV], err
}

// createdAt holds as long as a place is there.
func createdAt(key string, revision int64) registry.Compare {
	return registry.Compare{KeyRange: registry.One(key), Target: registry.CompareCreate, Result: registry.Equal, Int: revision}
}

// queueStatus is the error of a call on a queue as its client is told it. To etcd these
// services are clients of its others, and pass what those say on as a text without a code.
// The codes by which a client knows that it may try again are kept.
func queueStatus(ctx context.Context, err error) error {
	s := status.Convert(streamStatus(ctx, err))
	switch s.Code() {
	case codes.OK:
		return nil
	case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded:
		return s.Err()
	}
	return status.Error(codes.Unknown, s.Message())
}
