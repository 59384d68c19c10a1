package memnet

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

var errReset = error(syscall.ECONNRESET)

// link is a connection, with both its ends.
type link struct{ dialled, accepted *conn }

// conn is one end of a connection. Its fields are under the net's mutex.
type conn struct {
	net           *Net
	link          *link
	process       *process
	local, remote addr
	in, out       *pipe

	closed bool
	broken error // why neither direction works any more, once this end knows

	readBy, writeBy deadline
}

// deadline is when a direction's calls fail.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newLink(from, to *process, local, remote addr) *link {
	n := from.net
	there := path{from.host, to.host}
	out, in := newPipe(n, there), newPipe(n, there.back())
	l := &link{}
	l.dialled = &conn{net: n, link: l, process: from, local: local, remote: remote, in: in, out: out}
	l.accepted = &conn{net: n, link: l, process: to, local: remote, remote: local, in: out, out: in}
	out.to, in.to = l.accepted, l.dialled
	n.links[l] = struct{}{}
	return l
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) fail(op string, err error) error {
	if err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "mem", Source: c.local, Addr: c.remote, Err: err}
}

// Read returns what has arrived, or waits for it.
func (c *conn) Read(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	p := c.in
	for {
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case c.readBy.passed():
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case len(p.data) > 0:
			n := copy(b, p.data)
			p.data = p.data[n:]
			p.acknowledge(n)
			return n, nil
		case p.end != nil:
			return 0, c.fail("read", p.end)
		case c.broken != nil:
			return 0, c.fail("read", c.broken)
		}
		p.changed.Wait()
	}
}

// Write returns when all of b is on its way.
func (c *conn) Write(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	p, n := c.out, 0
	for {
		switch {
		case c.closed:
			return n, c.fail("write", net.ErrClosed)
		case c.writeBy.passed():
			return n, c.fail("write", os.ErrDeadlineExceeded)
		case c.broken != nil:
			return n, c.fail("write", c.broken)
		case p.shut:
			return n, c.fail("write", syscall.EPIPE)
		case len(b) == 0:
			return n, nil
		case p.sent < window:
			m := min(len(b)-n, window-p.sent)
			p.send(append([]byte(nil), b[n:n+m]...), nil)
			if n += m; n == len(b) {
				return n, nil
			}
			continue
		}
		p.changed.Wait()
	}
}

// CloseWrite ends what this side sends; the other reads io.EOF after it.
func (c *conn) CloseWrite() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.finish()
	return nil
}

func (c *conn) finish() {
	if !c.out.shut {
		c.out.shut = true
		c.out.send(nil, io.EOF)
		c.out.changed.Broadcast()
	}
}

// Close ends both directions: what was sent still arrives, unless this side has not
// read all that did.
func (c *conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	if len(c.in.data) > 0 {
		c.out.reset()
	} else {
		c.finish()
	}
	c.closeLocked()
	return nil
}

// abortLocked resets the connection because of err, which this end fails with at once.
func (c *conn) abortLocked(err error) {
	if c.closed || c.broken != nil {
		return
	}
	c.broken = err
	c.in.data, c.in.end = nil, err
	c.out.reset()
	c.wake()
}

// resetLocked is the arrival of the other end's reset.
func (c *conn) resetLocked() {
	if c.broken == nil {
		c.broken = errReset
		c.out.flight = nil
	}
	c.wake()
}

func (c *conn) closeLocked() {
	c.closed = true
	c.in.data = nil
	c.readBy.stop()
	c.writeBy.stop()
	c.wake()
	if c.link.dialled.closed && c.link.accepted.closed {
		delete(c.net.links, c.link)
	}
}

func (c *conn) wake() {
	c.in.changed.Broadcast()
	c.out.changed.Broadcast()
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, &c.readBy, &c.writeBy) }

// SetReadDeadline makes reads fail from t on, those that wait too; the zero time never.
func (c *conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.readBy) }

// SetWriteDeadline makes writes fail from t on, those that wait too; the zero time never.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writeBy) }

func (c *conn) setDeadlines(t time.Time, which ...*deadline) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	for _, d := range which {
		d.stop()
		d.at = t
		if wait := time.Until(t); !t.IsZero() && wait > 0 {
			d.timer = time.AfterFunc(wait, func() {
				c.net.mu.Lock()
				c.wake()
				c.net.mu.Unlock()
			})
		}
	}
	c.wake()
	return nil
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
