package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"herald/registry"
)

// lockTries bounds how often Acquire looks again because another took or freed the key
// between its look and its transaction.
const lockTries = 16

// Acquire does a put with which the session takes the lock of its key, or keeps it, and
// reports whether it did: not if another holds it, or if its lock delay runs. ErrNotFound
// says that there is no such session. Lock and Holder of the put are set here. The operations
// of first come before the put, where it is done: they can make the lease that it names.
func (s *Sessions) Acquire(ctx context.Context, id ID, put registry.PutRequest, first ...registry.Op) (bool, error) {
	r, err := s.get(ctx, id)
	if err != nil {
		return false, err
	}
	lease, _ := id.Lease()
	put.Lock, put.Holder = registry.LockAcquire, lease
	mark := registry.One(delayPrefix + put.Key)
	// What the key's mark must be like for the lock to be had: at first, that there is none.
	free := []registry.Compare{{Space: registry.SpaceSession, KeyRange: mark, Target: registry.CompareCreate}}
	for range lockTries {
		res, err := s.store.Txn(ctx, s.acquire(r, &put, mark, free, first))
		switch {
		case errors.Is(err, registry.ErrLeaseNotFound):
			return false, ErrNotFound // it has ended since
		case err != nil:
			return false, err
		case res.Succeeded:
			return true, nil
		}
		inner := res.Results[0].Txn
		if inner.Succeeded {
			return true, nil
		}
		holder, marked := inner.Results[0].Range, inner.Results[1].Range
		if len(holder.KVs) > 0 && holder.KVs[0].Lock.Holder != 0 {
			return false, nil
		}
		if len(marked.KVs) == 0 {
			// The mark went between: there is none, as was hoped for at first.
			free = []registry.Compare{{Space: registry.SpaceSession, KeyRange: mark, Target: registry.CompareCreate}}
			continue
		}
		was := &marked.KVs[0]
		by := ID(was.Value)
		switch _, err := s.get(ctx, by); {
		case errors.Is(err, ErrNotFound):
			return false, nil // its delay runs
		case err != nil:
			return false, err
		}
		// Whoever left the mark lives, and does not hold the key any more.
		free = []registry.Compare{
			{Space: registry.SpaceSession, KeyRange: mark, Target: registry.CompareMod, Int: was.ModRevision},
			{Space: registry.SpaceSession, KeyRange: registry.One(Key(by)), Target: registry.CompareCreate, Result: registry.NotEqual},
		}
	}
	return false, fmt.Errorf("%w: key %q is taken and freed by others all the time", registry.ErrUnavailable, put.Key)
}

// acquire is the transaction that takes a lock: held already, it is only a put; free, and
// its mark as free says, it is taken; else it reads who holds the key, and its mark.
func (s *Sessions) acquire(r *record, put *registry.PutRequest, mark registry.KeyRange, free []registry.Compare, first []registry.Op) registry.Txn {
	key := registry.One(put.Key)
	held := func(by registry.LeaseID) registry.Compare {
		return registry.Compare{Space: put.Space, KeyRange: key, Target: registry.CompareLockHolder, Int: int64(by)}
	}
	free = append([]registry.Compare{held(0)}, free...)
	if bugSessionTwice {
		free = free[1:]
	}
	return registry.Txn{
		Compare: []registry.Compare{held(put.Holder)},
		Then:    slices.Concat(first, []registry.Op{{Put: put}}),
		Else: []registry.Op{{Txn: &registry.Txn{
			Compare: free,
			Then:    slices.Concat(first, r.take(put, mark)),
			Else: []registry.Op{
				{Range: &registry.RangeRequest{Space: put.Space, KeyRange: key, KeysOnly: true}},
				{Range: &registry.RangeRequest{Space: registry.SpaceSession, KeyRange: mark}},
			},
		}}},
	}
}

// take are the operations that take a lock: the put that does, and the mark of the lock delay.
func (r *record) take(put *registry.PutRequest, mark registry.KeyRange) []registry.Op {
	if r.LockDelay == 0 {
		return []registry.Op{{Put: put}, {Delete: &registry.DeleteRequest{Space: registry.SpaceSession, KeyRange: mark}}}
	}
	after := put.Holder
	if bugLockDelay {
		after = 0
	}
	return []registry.Op{
		{Put: put},
		{Grant: &registry.GrantRequest{ID: r.marks, TTL: r.LockDelay, After: after, IfAbsent: true}},
		{Put: &registry.PutRequest{Space: registry.SpaceSession, Key: mark.Start, Value: []byte(r.ID), Lease: r.marks, IfChanged: true}},
	}
}

// Release does a put with which the session frees the lock of its key, and reports whether
// it did: not if it does not hold it. Lock and Holder of the put are set here, and first is as for Acquire.
func (s *Sessions) Release(ctx context.Context, id ID, put registry.PutRequest, first ...registry.Op) (bool, error) {
	lease, ok := id.Lease()
	if !ok {
		return false, nil
	}
	res, err := s.store.Txn(ctx, registry.Txn{
		Compare: []registry.Compare{{Space: put.Space, KeyRange: registry.One(put.Key), Target: registry.CompareLockHolder, Int: int64(lease)}},
		Then:    slices.Concat(first, Free(put)),
	})
	return res.Succeeded, err
}
