package registry

import "context"

// Store is the replicated key-value store as everything above it sees it.
// Methods may be called by any number of goroutines. Every method returns by
// its context's deadline, and by the store's own timeout if that comes first;
// an error then says whether the write may still take effect (ErrTimeout) or
// certainly did not (ErrNoLeader, ErrUnavailable).
type Store interface {
	// Range reads keys. ErrInvalid, ErrEmptyKey, ErrFutureRevision,
	// *CompactedError.
	Range(ctx context.Context, r RangeRequest) (RangeResult, error)
	// Txn applies a transaction; once it returns without error, what it wrote is
	// durable on a quorum and visible to every linearizable read. A
	// transaction that does not write reads instead, as Txn.Freshness says.
	// ErrTooLarge, ErrKeyNotFound, ErrLeaseNotFound, *RequireError,
	// ErrResourceExhausted, and the errors of Range.
	Txn(ctx context.Context, t Txn) (TxnResult, error)
	// Compact forgets the history of a space below rev, which stays readable. The memory
	// may come back later (see Sweeper).
	// *CompactedError if that was done already, ErrFutureRevision, ErrInvalid if
	// there is no such space.
	Compact(ctx context.Context, s Space, rev int64) error
	// Watch delivers changes until the watcher is closed or ctx ends.
	Watch(ctx context.Context, r WatchRequest) (Watcher, error)
	Leases
}

// Sweeper is a Store that gives back the memory of what was compacted later than it forgets it.
type Sweeper interface {
	// AwaitSwept returns once the space has been compacted to rev on this server, and what that
	// gave up takes no memory here any more; ErrStopped if the store stops, or ctx's
	// error. It is for after Compact, and asks nobody to compact anything.
	AwaitSwept(ctx context.Context, s Space, rev int64) error
}

// Put writes one key.
func Put(ctx context.Context, s Store, p PutRequest) (PutResult, error) {
	r, err := s.Txn(ctx, Txn{Then: []Op{{Put: &p}}})
	if err != nil {
		return PutResult{}, err
	}
	return *r.Results[0].Put, nil
}

// Delete deletes the keys of a range.
func Delete(ctx context.Context, s Store, d DeleteRequest) (DeleteResult, error) {
	r, err := s.Txn(ctx, Txn{Then: []Op{{Delete: &d}}})
	if err != nil {
		return DeleteResult{}, err
	}
	return *r.Results[0].Delete, nil
}
