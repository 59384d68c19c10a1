package grpcserver

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// healthService is gRPC's own service for probes: a door that answers is serving.
type healthService struct {
	*health.Server
	*core
}

func newHealthService(c *core) *healthService {
	h := health.NewServer()
	h.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	return &healthService{h, c}
}

// Watch tells a client whenever the status changes. It ends with the door.
func (s *healthService) Watch(r *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	ctx, cancel := s.untilStopped(stream.Context())
	defer cancel()
	err := s.Server.Watch(r, &healthStream{stream, ctx})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// healthStream is a stream with a context of its own.
type healthStream struct {
	grpc.ServerStreamingServer[healthpb.HealthCheckResponse]
	ctx context.Context
}

func (s *healthStream) Context() context.Context { return s.ctx }
