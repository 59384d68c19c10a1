package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"

	"herald/registry"
)

func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		code codes.Code
		text string
	}{
		{registry.ErrEmptyKey, codes.InvalidArgument, "etcdserver: key is not provided"},
		{registry.ErrKeyNotFound, codes.InvalidArgument, "etcdserver: key not found"},
		{registry.ErrTooLarge, codes.InvalidArgument, "etcdserver: request is too large"},
		{registry.ErrFutureRevision, codes.OutOfRange, "etcdserver: mvcc: required revision is a future revision"},
		{&registry.CompactedError{Lowest: 7}, codes.OutOfRange, "etcdserver: mvcc: required revision has been compacted"},
		{registry.ErrLeaseNotFound, codes.NotFound, "etcdserver: requested lease not found"},
		{registry.ErrLeaseExists, codes.FailedPrecondition, "etcdserver: lease already exists"},
		{registry.ErrInvalidTTL, codes.OutOfRange, "etcdserver: too large lease TTL"},
		{registry.ErrResourceExhausted, codes.ResourceExhausted, "etcdserver: mvcc: database space exceeded"},
		{registry.ErrDiskFull, codes.ResourceExhausted, "etcdserver: mvcc: database space exceeded"},
		{registry.ErrNoLeader, codes.Unavailable, "etcdserver: no leader"},
		{registry.ErrUnavailable, codes.Unavailable, "etcdserver: leader changed"},
		{registry.ErrTimeout, codes.Unavailable, "etcdserver: request timed out"},
		{registry.ErrStopped, codes.Unavailable, "etcdserver: server stopped"},
		{context.DeadlineExceeded, codes.DeadlineExceeded, "etcdserver: context deadline exceeded"},
		{context.Canceled, codes.Canceled, "etcdserver: request canceled"},
		{registry.ErrMembership, codes.FailedPrecondition, "herald: outer: the cluster cannot change so"},
		{fmt.Errorf("%w: %w", registry.ErrMembership, registry.ErrQuorum), codes.Unavailable, "etcdserver: unhealthy cluster"},
		{registry.ErrInvalid, codes.InvalidArgument, "herald: outer: invalid request"},
		{errors.New("unheard of"), codes.Unknown, "herald: outer: unheard of"},
		// A write that ran into its caller's deadline: whether it takes effect is not known.
		{fmt.Errorf("%w: %w", registry.ErrTimeout, context.DeadlineExceeded), codes.Unavailable, "etcdserver: request timed out"},
		// Nor is it of one whose wait something else ended, which has words of its own.
		{fmt.Errorf("%w: %w", registry.ErrTimeout, registry.ErrNoLeader), codes.Unavailable, "etcdserver: request timed out"},
		{fmt.Errorf("%w: %w", registry.ErrTimeout, registry.ErrUnavailable), codes.Unavailable, "etcdserver: request timed out"},
		{fmt.Errorf("%w: %w", registry.ErrTimeout, rpctypes.ErrGRPCStopped), codes.Unavailable, "etcdserver: request timed out"},
		{rpctypes.ErrGRPCStopped, codes.Unavailable, "etcdserver: server stopped"},
	} {
		wantStatus(t, c.err.Error(), statusOf(fmt.Errorf("outer: %w", c.err)), c.code, c.text)
	}
	if err := statusOf(nil); err != nil {
		t.Errorf("no error: %v", err)
	}
	if err := statusOf(rpctypes.ErrGRPCNoLeader); !errors.Is(err, rpctypes.ErrGRPCNoLeader) {
		t.Errorf("a status: %v, want it as it is", err)
	}
}
