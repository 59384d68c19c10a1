package grpcserver

import (
	"context"
	"net"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"herald/registry"
)

// clientAddr is where a client's connection comes from, and who that makes its
// requests' caller.
type clientAddr struct {
	net.Addr
	caller registry.Caller
}

func newClientAddr(a net.Addr) *clientAddr {
	return &clientAddr{Addr: a, caller: callerAt(hostOf(a.String()))}
}

// callerAt is the caller that a client on a host is.
func callerAt(host string) registry.Caller {
	return registry.Caller{Identity: "etcd:" + host, Reason: registry.ReasonClient}
}

// hostOf is an address without its port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// withCaller returns a context whose calls of the store say who asks.
func withCaller(ctx context.Context) context.Context {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ctx
	}
	switch a := p.Addr.(type) {
	case *clientAddr:
		return registry.WithCaller(ctx, a.caller)
	case gatewayAddr:
		if host := metadata.ValueFromIncomingContext(ctx, metadataClient); len(host) == 1 {
			return registry.WithCaller(ctx, callerAt(host[0]))
		}
	}
	return ctx
}
