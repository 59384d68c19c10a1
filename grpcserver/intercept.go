package grpcserver

import (
	"context"
	"time"
	"unicode/utf8"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// unary is around every call of one request and one answer.
func (c *core) unary(ctx context.Context, req any, call *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	began, counts := time.Now(), c.calls.began(call.FullMethod)
	res, err := c.runUnary(ctx, req, handle)
	counts.answered(began, err)
	return res, err
}

func (c *core) runUnary(ctx context.Context, req any, handle grpc.UnaryHandler) (any, error) {
	requests, err := c.admit(ctx)
	if err != nil {
		return nil, err
	}
	requests.unary.Add(1)
	res, err := handle(withCaller(ctx), req)
	return res, statusOf(err)
}

// stream is around every call that is a stream.
func (c *core) stream(srv any, ss grpc.ServerStream, call *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	ended := c.calls.stream(call.FullMethod)
	defer func() { ended(err) }()
	ctx := ss.Context()
	requests, err := c.admit(ctx)
	if err != nil {
		return err
	}
	requests.streams.Add(1)
	ctx, cancel := c.streamContext(withCaller(ctx))
	defer cancel()
	return streamStatus(ctx, handle(srv, &calledStream{ss, ctx}))
}

// streamStatus is the error of a stream as its client is told it: why the door ended its
// context, if the door did.
func streamStatus(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return statusOf(context.Cause(ctx))
	}
	return statusOf(err)
}

// calledStream is a stream whose context says who calls.
type calledStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *calledStream) Context() context.Context { return s.ctx }

// admit refuses calls by what their metadata says. It returns where a call is counted that
// it lets pass.
func (c *core) admit(ctx context.Context) (*requestCounts, error) {
	version := ""
	if v := metadata.ValueFromIncomingContext(ctx, rpctypes.MetadataClientAPIVersionKey); len(v) > 0 {
		version = v[0]
	}
	if !utf8.ValidString(version) {
		return nil, rpctypes.ErrGRPCInvalidClientAPIVersion
	}
	if requiresLeader(ctx) && c.cluster.Status().Leader == "" {
		return nil, rpctypes.ErrGRPCNoLeader
	}
	return c.versions.of(version), nil
}

// requiresLeader says that a call is to fail while there is no leader.
func requiresLeader(ctx context.Context) bool {
	v := metadata.ValueFromIncomingContext(ctx, rpctypes.MetadataRequireLeaderKey)
	return len(v) > 0 && v[0] == rpctypes.MetadataHasLeader
}
