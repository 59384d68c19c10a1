package grpcserver

import (
	"net"
	"sync"
	"time"
)

// http2Preface is how a connection of HTTP/2, and so of gRPC, begins (RFC 9113 section
// 3.4). No request of HTTP/1 begins like it.
const http2Preface = "PRI * HTTP/2.0"

// prefaceTimeout is how long a new connection may take to say what it speaks.
const prefaceTimeout = 10 * time.Second

// splitter accepts connections and hands each to one of two listeners, by what it
// begins with. It owns the goroutines that wait for that.
type splitter struct {
	listener     net.Listener
	http2, http1 *handedOn

	sorting sync.WaitGroup
	mu      sync.Mutex
	unread  map[net.Conn]struct{} // connections that have not said enough
	closed  bool
}

func newSplitter(l net.Listener) *splitter {
	return &splitter{
		listener: l,
		http2:    newHandedOn(l.Addr()),
		http1:    newHandedOn(l.Addr()),
		unread:   map[net.Conn]struct{}{},
	}
}

// Addr is the address of both listeners.
func (s *splitter) Addr() net.Addr { return s.listener.Addr() }

// accept hands on connections until the splitter is closed.
func (s *splitter) accept() error {
	defer s.sorting.Wait()
	defer s.Close()
	for pause := time.Duration(0); ; {
		conn, err := s.listener.Accept()
		if err != nil {
			//nolint:staticcheck // nothing else says that an error, such as too many open files, passes
			if ne, ok := err.(net.Error); ok && ne.Temporary() {
				pause = min(max(2*pause, 5*time.Millisecond), time.Second)
				time.Sleep(pause)
				continue
			}
			return err
		}
		pause = 0
		if !s.note(conn) {
			conn.Close()
			continue
		}
		s.sorting.Go(func() { s.sort(conn) })
	}
}

func (s *splitter) note(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.unread[c] = struct{}{}
	return true
}

func (s *splitter) forget(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.unread, c)
}

// sort reads from a connection until it is clear what it speaks.
func (s *splitter) sort(c net.Conn) {
	defer s.forget(c)
	to := s.http1
	begun := make([]byte, 0, len(http2Preface))
	err := c.SetReadDeadline(time.Now().Add(prefaceTimeout))
	for err == nil && len(begun) < cap(begun) {
		var n int
		n, err = c.Read(begun[len(begun):cap(begun)])
		begun = begun[:len(begun)+n]
		if string(begun) != http2Preface[:len(begun)] {
			break
		}
		if len(begun) == cap(begun) {
			to = s.http2
		}
	}
	if len(begun) == 0 || err != nil && to == s.http2 || c.SetReadDeadline(time.Time{}) != nil {
		c.Close()
		return
	}
	to.hand(&begunConn{Conn: c, begun: begun, from: newClientAddr(c.RemoteAddr())})
}

// Close stops accepting. Connections that were handed on are their servers'.
func (s *splitter) Close() error {
	s.mu.Lock()
	s.closed = true
	for c := range s.unread {
		c.Close()
	}
	s.mu.Unlock()
	s.http1.Close()
	s.http2.Close()
	return s.listener.Close()
}

// begunConn is a connection of which something was read.
type begunConn struct {
	net.Conn
	begun []byte
	from  *clientAddr
}

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

func (l *handedOn) hand(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.closed:
		c.Close()
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
