package etcdclient

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"herald/registry"
)

// meanings are what the errors of Herald's etcd door say: those by which the store behind it
// promises that nothing was written, and the one by which it does not.
var meanings = []struct{ said, means error }{
	{rpctypes.ErrNoLeader, registry.ErrNoLeader},
	{rpctypes.ErrLeaderChanged, registry.ErrUnavailable},
	{rpctypes.ErrNoSpace, registry.ErrResourceExhausted},
	{rpctypes.ErrLeaseNotFound, registry.ErrLeaseNotFound},
	{rpctypes.ErrLeaseExist, registry.ErrLeaseExists},
	{rpctypes.ErrCompacted, registry.ErrCompacted},
	{rpctypes.ErrFutureRev, registry.ErrFutureRevision},
	{rpctypes.ErrTimeout, registry.ErrTimeout},
}

// said is an error of the client in the registry's words. Of one that it has no words for
// the outcome is unknown: the client tries no write twice, but does not say whether it was sent.
func said(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	for _, m := range meanings {
		if errors.Is(rpctypes.Error(err), m.said) || errors.Is(err, m.said) {
			return fmt.Errorf("%w: %w", m.means, err)
		}
	}
	return err
}
