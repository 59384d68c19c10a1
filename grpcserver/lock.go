package grpcserver

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"herald/grpcserver/lockpb"
	"herald/registry"
)

// lockService is etcd's Lock service: queues whose first place is the lock. It starts no
// goroutines; whoever waits does so in its own call.
type lockService struct {
	lockpb.UnimplementedLockServer
	*core
}

// errLockLost is the text by which clients know that their session was over before
// they had the lock.
var errLockLost = status.Error(codes.Unknown, "mutex: session is expired")

// Lock answers once the lock is held. While it waits, the end of the call or of the lease
// ends it, and gives up the place in the queue.
func (s *lockService) Lock(ctx context.Context, r *lockpb.LockRequest) (*lockpb.LockResponse, error) {
	ctx, cancel := s.untilStopped(ctx)
	defer cancel()
	p, err := s.queueUp(ctx, r.Name, r.Lease, nil)
	if err == nil {
		err = p.await(ctx)
	}
	if errors.Is(err, errNoPlace) {
		return nil, errLockLost
	}
	if err != nil {
		return nil, queueStatus(ctx, err)
	}
	return &lockpb.LockResponse{Header: s.headerAt(p.turn), Key: []byte(p.key)}, nil
}

// Unlock gives a lock up, or a place in the queue for it. That there is none is no error.
func (s *lockService) Unlock(ctx context.Context, r *lockpb.UnlockRequest) (*lockpb.UnlockResponse, error) {
	if err := s.alarms.refuseChange(); err != nil {
		return nil, queueStatus(ctx, err)
	}
	res, err := registry.Delete(ctx, s.store, registry.DeleteRequest{KeyRange: registry.One(string(r.Key))})
	if err != nil {
		return nil, queueStatus(ctx, err)
	}
	return &lockpb.UnlockResponse{Header: s.headerAt(res.Revision)}, nil
}
