package session

import (
	"context"
	"errors"

	"herald/registry"
)

// Claim is what stands between a session and the lock of one key, but for who holds it: for
// one that takes locks among other things, in a transaction of its own.
type Claim struct {
	// Delayed says that the key was lost by its last holder so short a time ago that nobody
	// may take it yet.
	Delayed bool
	// Compares hold as long as all that this says does.
	Compares []registry.Compare
	// Holder is the session's lease, as which it holds locks.
	Holder registry.LeaseID

	record *record
	mark   registry.KeyRange
}

// Claim returns what stands between a session and a key's lock, or ErrNotFound.
func (s *Sessions) Claim(ctx context.Context, id ID, key string) (*Claim, error) {
	r, err := s.get(ctx, id)
	if err != nil {
		return nil, err
	}
	lease, _ := id.Lease()
	c := &Claim{Holder: lease, record: r, mark: registry.One(delayPrefix + key)}
	res, err := s.store.Range(ctx, registry.RangeRequest{Space: registry.SpaceSession, KeyRange: c.mark})
	if err != nil {
		return nil, err
	}
	c.Compares = []registry.Compare{exists(id, registry.NotEqual)}
	var seen int64
	if len(res.KVs) > 0 {
		seen = res.KVs[0].ModRevision
		by, lives := ID(res.KVs[0].Value), registry.NotEqual
		if _, err := s.get(ctx, by); errors.Is(err, ErrNotFound) {
			c.Delayed, lives = true, registry.Equal
		} else if err != nil {
			return nil, err
		}
		c.Compares = append(c.Compares, exists(by, lives))
	}
	c.Compares = append(c.Compares, registry.Compare{Space: registry.SpaceSession, KeyRange: c.mark, Target: registry.CompareMod, Int: seen})
	return c, nil
}

// exists compares whether there is a session: NotEqual that there is, Equal that there is not.
func exists(id ID, how registry.CompareResult) registry.Compare {
	return registry.Compare{Space: registry.SpaceSession, KeyRange: registry.One(Key(id)), Target: registry.CompareCreate, Result: how}
}

// Take are the operations that write put and take the lock of its key, which nobody else holds.
func (c *Claim) Take(put registry.PutRequest) []registry.Op {
	put.Lock, put.Holder = registry.LockAcquire, c.Holder
	return c.record.take(&put, c.mark)
}

// Free are the operations that write put and free the lock of its key, which the session holds.
func Free(put registry.PutRequest) []registry.Op {
	put.Lock = registry.LockRelease
	return []registry.Op{
		{Put: &put},
		{Delete: &registry.DeleteRequest{Space: registry.SpaceSession, KeyRange: registry.One(delayPrefix + put.Key)}},
	}
}
