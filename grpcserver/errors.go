package grpcserver

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"herald/registry"
)

// statuses says with which of etcd's errors each of the registry's is answered. The
// first that matches counts. Clients know them by their text, to the letter.
var statuses = []struct {
	err    error
	status error
}{
	// Whether it took effect is not known, whatever else such an error wraps.
	{registry.ErrTimeout, rpctypes.ErrGRPCTimeout},
	{registry.ErrEmptyKey, rpctypes.ErrGRPCEmptyKey},
	{registry.ErrKeyNotFound, rpctypes.ErrGRPCKeyNotFound},
	{registry.ErrTooLarge, rpctypes.ErrGRPCRequestTooLarge},
	{registry.ErrFutureRevision, rpctypes.ErrGRPCFutureRev},
	{registry.ErrCompacted, rpctypes.ErrGRPCCompacted},
	{registry.ErrLeaseNotFound, rpctypes.ErrGRPCLeaseNotFound},
	{registry.ErrLeaseExists, rpctypes.ErrGRPCLeaseExist},
	{registry.ErrInvalidTTL, rpctypes.ErrGRPCLeaseTTLTooLarge},
	{registry.ErrResourceExhausted, rpctypes.ErrGRPCNoSpace},
	{registry.ErrDiskFull, rpctypes.ErrGRPCNoSpace},
	{registry.ErrMemberNotFound, rpctypes.ErrGRPCMemberNotFound},
	{registry.ErrQuorum, rpctypes.ErrGRPCUnhealthy},
	{registry.ErrVoter, rpctypes.ErrGRPCMemberNotLearner},
	{registry.ErrNotInSync, rpctypes.ErrGRPCLearnerNotReady},
	{registry.ErrNoLeader, rpctypes.ErrGRPCNoLeader},
	{registry.ErrUnavailable, rpctypes.ErrGRPCLeaderChanged},
	{registry.ErrStopped, rpctypes.ErrGRPCStopped},
	{context.DeadlineExceeded, rpctypes.ErrGRPCDeadlineExceeded},
	{context.Canceled, rpctypes.ErrGRPCCanceled},
}

// statusOf is an error as clients are told it. What is a status already stays that.
// An error that etcd has no words for is InvalidArgument if it is the request's,
// FailedPrecondition if it is the cluster's, and Unknown otherwise, with its own text.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	for i := range statuses {
		if errors.Is(err, statuses[i].err) {
			return statuses[i].status
		}
	}
	// One that is a status is told without what wraps it: clients know its text.
	if its, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		return its
	}
	code := codes.Unknown
	switch {
	case errors.Is(err, registry.ErrInvalid):
		code = codes.InvalidArgument
	case errors.Is(err, registry.ErrMembership):
		code = codes.FailedPrecondition
	}
	return status.Error(code, "herald: "+err.Error())
}
