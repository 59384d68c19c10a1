package dnsserver

import (
	"errors"
	"net"
	"sync"
	"time"
)

// acceptPause is how long the listener waits after a failure that may pass by itself,
// such as too many open files; the server would try again without a pause.
const acceptPause = 50 * time.Millisecond

// tcpListener bounds the TCP connections that it accepts, in number and in the
// time that one may take to receive an answer, and can close them all.
type tcpListener struct {
	net.Listener
	most  int
	write time.Duration

	mu    sync.Mutex
	conns map[*tcpConn]struct{} // guarded by mu
}

func newTCPListener(l net.Listener, most int, write time.Duration) *tcpListener {
	return &tcpListener{Listener: l, most: most, write: write, conns: map[*tcpConn]struct{}{}}
}

// Accept returns the next connection that there is room for, and closes those
// that there is none for.
func (l *tcpListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				time.Sleep(acceptPause)
			}
			return nil, err
		}
		if conn := l.admit(c); conn != nil {
			return conn, nil
		}
		c.Close()
	}
}

func (l *tcpListener) admit(c net.Conn) *tcpConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.most {
		return nil
	}
	conn := &tcpConn{Conn: c, of: l}
	l.conns[conn] = struct{}{}
	return conn
}

// closeConns closes every connection that is open.
func (l *tcpListener) closeConns() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Conn.Close()
	}
}

// tcpConn is a connection of a tcpListener.
type tcpConn struct {
	net.Conn
	of *tcpListener
}

// Write gives up on a client that does not read.
func (c *tcpConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.of.write)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close makes room for another connection.
func (c *tcpConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
