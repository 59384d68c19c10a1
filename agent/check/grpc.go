package check

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"herald/registry"
)

// GRPC is the kind that asks a gRPC server how it is.
const GRPC = "grpc"

// NewGRPC makes a check that asks the server at Spec's target, "host:port" or "host:port/service", by gRPC's health
// checking protocol (grpc.health.v1): SERVING is passing, any other answer, and none, critical. With a service it is asked of that, else
// of the server as a whole. use_tls, tls_skip_verify and tls_server_name are as with NewTCP.
//
// Every run makes its own connection, and asks no proxy; see NewHTTP.
func NewGRPC(d registry.CheckDefinition) (registry.Checker, error) {
	s := specOf(d, GRPC)
	target := s.string("target")
	c := &grpcCheck{}
	c.address, c.service, _ = strings.Cut(target, "/")
	s.hostPort("target", c.address)
	secure, config := s.bool("use_tls"), s.tls()
	if secure {
		c.config = config
	}
	limit, err := outputLimit(d)
	if err != nil {
		return nil, err
	}
	c.limit = limit
	if err := s.done(); err != nil {
		return nil, err
	}
	return c, nil
}

type grpcCheck struct {
	address, service string
	config           *tls.Config // nil without TLS
	limit            int
}

func (c *grpcCheck) Check(ctx context.Context) (registry.HealthStatus, string) {
	said := func(status registry.HealthStatus, what any) (registry.HealthStatus, string) {
		of := c.address
		if c.service != "" {
			of += "/" + c.service
		}
		return status, Cut(fmt.Sprintf("gRPC check %s: %v", of, what), c.limit)
	}
	safety := insecure.NewCredentials()
	if c.config != nil {
		safety = credentials.NewTLS(serverNamed(c.config, c.address))
	}
	conn, err := grpc.NewClient("passthrough:///"+c.address, grpc.WithTransportCredentials(safety), grpc.WithNoProxy(), grpc.WithUserAgent(userAgent),
		grpc.WithDisableServiceConfig(), grpc.WithDisableHealthCheck())
	if err != nil {
		return said(registry.Critical, err)
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: c.service})
	switch {
	case err != nil:
		return said(registry.Critical, err)
	case answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return said(registry.Critical, answer.GetStatus())
	}
	return said(registry.Passing, answer.GetStatus())
}
