package etcdclient

import (
	"context"
	"errors"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"herald/registry"
)

// Mutex is a lock of the client's concurrency package, wanted by one lease. The package keeps the
// lease alive from when the mutex is made until it is abandoned.
type Mutex struct {
	store   *Store
	session *concurrency.Session
	mutex   *concurrency.Mutex
}

// NewMutex makes one that nobody holds yet.
func (s *Store) NewMutex(name string, lease registry.LeaseID) (*Mutex, error) {
	session, err := concurrency.NewSession(s.client, concurrency.WithLease(clientv3.LeaseID(lease)))
	if err != nil {
		return nil, said(err)
	}
	return &Mutex{s, session, concurrency.NewMutex(session, name)}, nil
}

// TryLock takes the mutex unless somebody holds it. The token is the revision at which it was
// taken: it rises from holder to holder.
func (m *Mutex) TryLock(ctx context.Context) (token int64, taken bool, err error) {
	if err := m.store.connected(ctx); err != nil {
		return 0, false, err
	}
	err = m.mutex.TryLock(ctx)
	switch {
	case errors.Is(err, concurrency.ErrLocked):
		return 0, false, nil
	case err != nil:
		return 0, false, said(err)
	}
	return m.mutex.Header().GetRevision(), true, nil
}

// Unlock gives the mutex back.
func (m *Mutex) Unlock(ctx context.Context) error { return said(m.mutex.Unlock(ctx)) }

// Abandon lets go of the lease: it is renewed no more, nor ended.
func (m *Mutex) Abandon() { m.session.Orphan() }
