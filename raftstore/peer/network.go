package peer

import (
	"context"
	"net"
	"time"
)

// Network is what the port listens and dials on: TCP, one in memory for tests, or either of
// them inside TLS. A connection that has a method CloseWrite() error keeps it through
// Stream and HandleStream.
type Network interface {
	Listen(address string) (net.Listener, error)
	// Dial resolves the address anew each time.
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// keepAlive finds peers that vanished behind connections without heartbeats of their
// own, which are raft's and those of streams.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}

type tcp struct{}

func (tcp) Listen(address string) (net.Listener, error) {
	c := net.ListenConfig{KeepAliveConfig: keepAlive}
	return c.Listen(context.Background(), "tcp", address)
}

func (tcp) Dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	return d.DialContext(ctx, "tcp", address)
}
