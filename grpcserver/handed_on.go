package grpcserver

import (
	"context"
	"net"
	"sync"
)

// begunConn is a connection of which something was read.
type begunConn struct {
	net.Conn
	begun []byte
	from  *clientAddr
}

// Read implements net.Conn. Its server reads from one goroutine.
func (c *begunConn) Read(b []byte) (int, error) {
	if len(c.begun) > 0 {
		n := copy(b, c.begun)
		c.begun = c.begun[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// RemoteAddr is a *clientAddr.
func (c *begunConn) RemoteAddr() net.Addr { return c.from }

// handedOn is a listener of connections that another has accepted.
type handedOn struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newHandedOn(addr net.Addr) *handedOn {
	return &handedOn{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// hand returns once the connection was accepted. It remains the caller's on an error.
func (l *handedOn) hand(ctx context.Context, c net.Conn) error {
	select {
	case l.conns <- c:
		return nil
	case <-l.closed:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *handedOn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *handedOn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *handedOn) Addr() net.Addr { return l.addr }
