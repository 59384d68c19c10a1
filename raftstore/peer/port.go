package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Method names a handler. Each way of handling, calls and streams, has its own numbers.
type Method uint8

// Handler answers requests. The caller may be told what it returned, or not.
type Handler func(ctx context.Context, from Identity, req []byte) ([]byte, error)

// StreamHandler serves a stream, which is closed when it returns. Its context ends when the port
// is closed; that the peer is gone, the connection tells.
type StreamHandler func(ctx context.Context, from Identity, c net.Conn)

// Port is one server's peer port. Its methods may be called by any goroutine, but
// handlers are registered before Serve.
type Port struct {
	cfg       Config
	listener  net.Listener
	advertise net.Addr
	raft      *RaftStreams
	refusals  refusalLog

	// ctx ends when the port is closed.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// callPool is not global: the channels in it belong to this port (and, in tests, to
	// its synctest bubble).
	callPool sync.Pool

	// Written before Serve, then only read.
	calls   [256]endpoint
	streams [256]StreamHandler

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{} // all that are open
	links  map[link]struct{}  // those for calls, either side's
	routes map[Target]*route  // by whom they lead to
}

// endpoint is how requests of a method are handled.
type endpoint struct {
	handle Handler
	inline bool
}

// Listen binds the port. It takes no connection before Serve, but can call others.
func Listen(cfg Config) (*Port, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	l, err := cfg.Network.Listen(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for peers on %s: %w: choose another peer address", cfg.Address, err)
	}
	p := &Port{
		cfg:       cfg,
		listener:  l,
		advertise: l.Addr(),
		conns:     make(map[*conn]struct{}),
		links:     make(map[link]struct{}),
		routes:    make(map[Target]*route),
	}
	if cfg.Advertise != "" {
		p.advertise = namedAddr(cfg.Advertise)
	}
	p.callPool.New = newCall
	p.raft = newRaftStreams(p)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.beat)
	return p, nil
}

// namedAddr is an address by name, resolved by whoever dials it.
type namedAddr string

func (namedAddr) Network() string  { return "tcp" }
func (a namedAddr) String() string { return string(a) }

// Addr is where others reach this server.
func (p *Port) Addr() net.Addr { return p.advertise }

// Handle serves the requests of a method, each in a goroutine of its own. The context
// has the time that the caller had left, and ends when the caller gives up or its
// connection breaks. The request is the handler's to keep.
func (p *Port) Handle(m Method, h Handler) { p.calls[m] = endpoint{handle: h} }

// HandleInline serves the requests of a method in the goroutine that reads the
// connection. The handler must not block, and the request is valid until it returns. The context
// is the connection's.
func (p *Port) HandleInline(m Method, h Handler) { p.calls[m] = endpoint{handle: h, inline: true} }

// HandleStream serves the streams of a method, each in a goroutine of its own. The
// connection has a method CloseWrite() error.
func (p *Port) HandleStream(m Method, h StreamHandler) { p.streams[m] = h }

// Raft is raft's part of the port.
func (p *Port) Raft() *RaftStreams { return p.raft }

// Serve begins to accept, and returns.
func (p *Port) Serve() { p.spawn(p.accept) }

// spawn runs f in a goroutine that Close waits for, unless the port is closed.
func (p *Port) spawn(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Go(f)
	return true
}

// Close stops listening, breaks every connection, the streams and raft's included, and
// waits for all goroutines of the port: the contexts of handlers end, and they
// have to heed that.
func (p *Port) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	open := make([]*conn, 0, len(p.conns))
	for c := range p.conns {
		open = append(open, c)
	}
	p.mu.Unlock()
	var err error
	if first {
		p.cancel()
		err = p.listener.Close()
		for _, c := range open {
			c.Close()
		}
	}
	p.wg.Wait()
	return err
}

var errClosed = fmt.Errorf("the peer port is closed: %w", net.ErrClosed)

// conn is a connection that the port closes if nobody has closed it before.
type conn struct {
	net.Conn
	port *Port
	raft bool // accepted for raft
}

// track makes Close break a connection. It fails, and closes it, if the port is closed.
func (p *Port) track(c net.Conn) (*conn, error) {
	tracked := &conn{Conn: c, port: p}
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.conns[tracked] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		c.Close()
		return nil, errClosed
	}
	return tracked, nil
}

func (c *conn) Close() error {
	c.port.mu.Lock()
	delete(c.port.conns, c)
	c.port.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite ends what this side sends; the other reads io.EOF. It is an
// errors.ErrUnsupported where the network cannot do that.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return fmt.Errorf("close one direction of a connection to %s: %w", c.RemoteAddr(), errors.ErrUnsupported)
}

// accept takes connections until the port is closed.
func (p *Port) accept() {
	var delay time.Duration
	for {
		nc, err := p.listener.Accept()
		if err != nil {
			if p.ctx.Err() != nil {
				return
			}
			// Such as too many open files: it passes.
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			p.cfg.Log.Warn("cannot accept a peer's connection", "error", err, "retry_in", delay)
			select {
			case <-time.After(delay):
			case <-p.ctx.Done():
				return
			}
			continue
		}
		delay = 0
		if c, err := p.track(nc); err == nil {
			p.wg.Go(func() { p.welcome(c) })
		}
	}
}
