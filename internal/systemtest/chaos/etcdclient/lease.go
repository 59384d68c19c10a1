package etcdclient

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"herald/registry"
)

// GrantLease implements registry.Leases. The time to live is in whole seconds, as etcd has it.
func (s *Store) GrantLease(ctx context.Context, id registry.LeaseID, ttl time.Duration) (registry.Lease, error) {
	if id != 0 || ttl < time.Second || ttl%time.Second != 0 {
		return registry.Lease{}, unknownHere("lease %d of %v", id, ttl)
	}
	if err := s.connected(ctx); err != nil {
		return registry.Lease{}, err
	}
	res, err := s.client.Grant(ctx, int64(ttl/time.Second))
	if err != nil {
		return registry.Lease{}, said(err)
	}
	granted := time.Duration(res.TTL) * time.Second
	return registry.Lease{ID: registry.LeaseID(res.ID), TTL: granted, Remaining: granted}, nil
}

// KeepAlive implements registry.Leases.
func (s *Store) KeepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	if err := s.connected(ctx); err != nil {
		return registry.Lease{}, err
	}
	res, err := s.client.KeepAliveOnce(ctx, clientv3.LeaseID(id))
	if err != nil {
		return registry.Lease{}, said(err)
	}
	ttl := time.Duration(res.TTL) * time.Second
	return registry.Lease{ID: id, TTL: ttl, Remaining: ttl}, nil
}

// RevokeLease implements registry.Leases. Of the spaces, etcd's API tells the revision of
// the users' keys alone.
func (s *Store) RevokeLease(ctx context.Context, ids ...registry.LeaseID) (after registry.Revisions, err error) {
	for _, id := range ids {
		res, err := s.client.Revoke(ctx, clientv3.LeaseID(id))
		if err != nil {
			return registry.Revisions{}, said(err)
		}
		after[registry.SpaceKV] = res.Header.Revision
	}
	return after, nil
}

// Lease implements registry.Leases.
func (s *Store) Lease(ctx context.Context, id registry.LeaseID, keys bool) (registry.Lease, error) {
	var opts []clientv3.LeaseOption
	if keys {
		opts = append(opts, clientv3.WithAttachedKeys())
	}
	res, err := s.client.TimeToLive(ctx, clientv3.LeaseID(id), opts...)
	switch {
	case err != nil:
		return registry.Lease{}, said(err)
	case res.TTL < 0:
		return registry.Lease{}, registry.ErrLeaseNotFound
	}
	l := registry.Lease{ID: id, TTL: time.Duration(res.GrantedTTL) * time.Second, Remaining: time.Duration(res.TTL) * time.Second}
	for _, key := range res.Keys {
		l.Keys = append(l.Keys, registry.LeasedKey{Space: registry.SpaceKV, Key: string(key)})
	}
	return l, nil
}

// ListLeases implements registry.Leases. Etcd's API always leaves out the leases of agents and
// of HTTP sessions, and can leave out no others.
func (s *Store) ListLeases(ctx context.Context, without ...registry.Space) ([]registry.LeaseID, error) {
	for _, space := range without {
		if space != registry.SpaceCatalog && space != registry.SpaceSession {
			return nil, fmt.Errorf("%w: etcd's API does not list leases by space %v", registry.ErrInvalid, space)
		}
	}
	res, err := s.client.Leases(ctx)
	if err != nil {
		return nil, said(err)
	}
	ids := make([]registry.LeaseID, len(res.Leases))
	for i, l := range res.Leases {
		ids[i] = registry.LeaseID(l.ID)
	}
	return ids, nil
}
