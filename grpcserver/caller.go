package grpcserver

import (
	"context"
	"net"

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
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		host = a.String()
	}
	return &clientAddr{Addr: a, caller: registry.Caller{Identity: "etcd:" + host, Reason: registry.ReasonClient}}
}

// withCaller returns a context whose calls of the store say who asks.
func withCaller(ctx context.Context) context.Context {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ctx
	}
	if a, ok := p.Addr.(*clientAddr); ok {
		return registry.WithCaller(ctx, a.caller)
	}
	return registry.WithCaller(ctx, registry.Caller{Identity: "etcd:gateway", Reason: registry.ReasonClient})
}
