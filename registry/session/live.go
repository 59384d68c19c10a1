package session

import (
	"context"
	"errors"

	"herald/registry"
)

// Decode returns the sessions that keys in the range of Keys have. Errors wrap
// registry.ErrCorrupt.
func Decode(kvs []registry.KeyValue) ([]Session, error) {
	all := make([]Session, 0, len(kvs))
	for i := range kvs {
		r, err := decode(&kvs[i])
		if err != nil {
			return nil, err
		}
		all = append(all, r.Session)
	}
	return all, nil
}

// get returns the record of a session as it now is, or ErrNotFound.
func (s *Sessions) get(ctx context.Context, id ID) (*record, error) {
	if _, ok := id.Lease(); !ok {
		return nil, ErrNotFound
	}
	res, err := s.store.Range(ctx, registry.RangeRequest{Space: registry.SpaceSession, KeyRange: registry.One(Key(id))})
	switch {
	case err != nil:
		return nil, err
	case len(res.KVs) == 0:
		return nil, ErrNotFound
	}
	return decode(&res.KVs[0])
}

// Renew starts the session's time to live anew, if it has one, and returns the session.
// ErrNotFound.
func (s *Sessions) Renew(ctx context.Context, id ID) (*Session, error) {
	r, err := s.get(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.TTL != registry.NoTTL {
		lease, _ := id.Lease()
		switch _, err := s.store.KeepAlive(ctx, lease); {
		case errors.Is(err, registry.ErrLeaseNotFound):
			return nil, ErrNotFound
		case err != nil:
			return nil, err
		}
	}
	return &r.Session, nil
}

// Destroy ends a session. One that is not there has ended already.
func (s *Sessions) Destroy(ctx context.Context, id ID) error {
	lease, ok := id.Lease()
	if !ok {
		return nil
	}
	// An id is only ever a session's: its lease is picked at random, and not by clients.
	if _, err := s.get(ctx, id); errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil && !errors.Is(err, registry.ErrCorrupt) {
		return err
	}
	if _, err := s.store.RevokeLease(ctx, lease); err != nil && !errors.Is(err, registry.ErrLeaseNotFound) {
		return err
	}
	return nil
}
