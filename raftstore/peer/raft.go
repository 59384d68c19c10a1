package peer

import (
	"context"
	"net"
	"sync"
	"time"
)

// RaftStreams are the connections that raft's own transport speaks on. It is a
// net.Listener, and dials.
type RaftStreams struct {
	port     *Port
	incoming chan net.Conn
	done     chan struct{}
	stop     sync.Once
}

var _ net.Listener = (*RaftStreams)(nil)

func newRaftStreams(p *Port) *RaftStreams {
	return &RaftStreams{port: p, incoming: make(chan net.Conn), done: make(chan struct{})}
}

// Accept returns the next connection that another server of the cluster opened.
func (r *RaftStreams) Accept() (net.Conn, error) {
	select {
	case c := <-r.incoming:
		return c, nil
	case <-r.done:
	case <-r.port.ctx.Done():
	}
	return nil, net.ErrClosed
}

// Dial opens a connection. The timeout includes the handshake, and is the port's
// DialTimeout if it is 0.
func (r *RaftStreams) Dial(to Target, timeout time.Duration) (net.Conn, error) {
	if timeout <= 0 {
		timeout = r.port.cfg.DialTimeout
	}
	ctx, cancel := context.WithTimeout(r.port.ctx, timeout)
	defer cancel()
	d, err := r.port.dial(ctx, protoRaft, to, 0)
	if err != nil {
		return nil, err
	}
	return d.conn, nil
}

// Addr is where others reach this server.
func (r *RaftStreams) Addr() net.Addr { return r.port.Addr() }

// Close ends Accept, refuses further connections, and closes those that were accepted:
// raft's transport leaves them open, each with a goroutine that reads. The port goes on.
func (r *RaftStreams) Close() error {
	r.stop.Do(func() { close(r.done) })
	p := r.port
	p.mu.Lock()
	var open []*conn
	for c := range p.conns {
		if c.raft {
			open = append(open, c)
		}
	}
	p.mu.Unlock()
	for _, c := range open {
		c.Close()
	}
	return nil
}

// hand gives an accepted connection to raft, or closes it.
func (r *RaftStreams) hand(c *conn) {
	r.port.mu.Lock()
	c.raft = true
	r.port.mu.Unlock()
	select {
	case <-r.done: // before it is offered: Close may have looked already
		c.Close()
		return
	default:
	}
	select {
	case r.incoming <- c:
	case <-r.done:
		c.Close()
	case <-r.port.ctx.Done():
		c.Close()
	}
}
