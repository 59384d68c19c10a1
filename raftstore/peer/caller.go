package peer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"herald/registry"
)

// idleTime is how long a connection is kept without calls.
const idleTime = time.Minute

// caller is the side of a connection that makes calls.
type caller struct {
	side
	route *route
	to    Target

	// retired says that new calls take another connection, and that this one is closed when
	// those on it have their answers.
	retired atomic.Bool

	// Under the outbox's mutex.
	lastID  uint64
	pending map[uint64]*call

	// The beating goroutine's.
	seenID uint64
	idle   time.Time // since when there have been no calls
}

// call is one that waits for its answer. It is used again for others.
type call struct {
	// done gets the outcome once, from whoever takes the call out of pending.
	done chan outcome
	// batch and offset are where in the outbox the request was put.
	batch  uint64
	offset int
}

type outcome struct {
	kind    kind
	payload []byte
	err     error // the connection's; kind is then 0
}

func newCall() any { return &call{done: make(chan outcome, 1)} }

// errGone says that a connection ended before a request was put on it, so that another one
// may be tried.
var errGone = errors.New("the connection has ended")

// Call sends a request and waits for its answer, ctx, or the end of the connection. An
// error is ErrNotSent or ErrLost (with ctx's cause, if that was why), or the handler's.
// A peer of another cluster, or another one than was meant, is a registry.ErrForeignCluster too.
func (p *Port) Call(ctx context.Context, to Target, m Method, req []byte) ([]byte, error) {
	if len(req) > p.cfg.MaxMessage {
		return nil, fmt.Errorf("%w: %w: %d bytes, the limit between servers is %d", ErrNotSent, registry.ErrTooLarge, len(req), p.cfg.MaxMessage)
	}
	for {
		c, dialled, err := p.reach(ctx, to)
		if err != nil {
			return nil, err
		}
		resp, err := c.call(ctx, m, req)
		if err == errGone {
			if !dialled {
				p.retire(c) // it ended just now
				continue
			}
			return nil, notSent(to, err)
		}
		return resp, err
	}
}

// Notify sends a request without an answer. It never blocks: the message is dropped if there is
// no connection, and one is begun to be dialled, or if too much is waiting to be written.
func (p *Port) Notify(to Target, m Method, req []byte) {
	if len(req) > p.cfg.MaxMessage {
		return
	}
	if c := p.atHand(to); c != nil {
		c.notify(m, req)
	}
}

func (c *caller) call(ctx context.Context, m Method, req []byte) ([]byte, error) {
	remaining, err := remainingOf(ctx)
	if err != nil {
		return nil, notSent(c.to, err)
	}
	w := c.port.callPool.Get().(*call)
	c.mu.Lock()
	if err := c.waitRoomLocked(ctx); err != nil || c.err != nil {
		c.mu.Unlock()
		c.port.callPool.Put(w)
		if err != nil {
			return nil, notSent(c.to, err)
		}
		return nil, errGone
	}
	c.lastID++
	id := c.lastID
	w.batch, w.offset = c.batch, len(c.buf)
	c.pending[id] = w
	c.addLocked(header{kind: kindRequest, method: m, id: id, remaining: remaining}, req, true)
	c.mu.Unlock()

	var o outcome
	select {
	case o = <-w.done:
	case <-ctx.Done():
		if err := c.abandon(id, w, context.Cause(ctx)); err != nil {
			c.port.callPool.Put(w)
			return nil, err
		}
		o = <-w.done // it is there, or about to be
	}
	c.port.callPool.Put(w)
	switch o.kind {
	case kindResponse:
		return o.payload, nil
	case kindError:
		return nil, c.port.cfg.DecodeError(o.payload)
	case kindUnserved:
		return nil, notSent(c.to, errors.New(string(o.payload)))
	}
	return nil, o.err
}

// abandon gives up a call because of cause, and returns what to tell its caller; nil if
// its outcome has come meanwhile.
func (c *caller) abandon(id uint64, w *call, cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[id] != w {
		return nil
	}
	delete(c.pending, id)
	if c.batch == w.batch {
		// Nothing of it is written yet. Its place stays, and is skipped by the reader.
		c.buf[w.offset+kindOffset] = byte(kindVoid)
		return notSent(c.to, cause)
	}
	// Without regard to room: there is at most one for each request that was let in.
	c.addLocked(header{kind: kindCancel, id: id}, nil, true)
	return lost(c.to, cause)
}

func (c *caller) notify(m Method, req []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && len(c.buf) < maxQueued {
		c.lastID++
		c.addLocked(header{kind: kindOneWay, method: m, id: c.lastID}, req, true)
	}
}

// read delivers answers until the connection ends, and returns why it did.
func (c *caller) read() error {
	r := newFrameReader(&c.side, c.port.cfg.MaxMessage)
	for {
		h, err := r.next()
		if err != nil {
			return err
		}
		switch h.kind {
		case kindResponse, kindError, kindUnserved:
		case kindPing:
			continue
		default:
			return fmt.Errorf("%w: kind %d is not for a server to send", errMalformedFrame, h.kind)
		}
		payload, err := r.keep(h.size)
		if err != nil {
			return err
		}
		c.mu.Lock()
		w := c.pending[h.id] // nil if it was abandoned
		delete(c.pending, h.id)
		c.mu.Unlock()
		if w != nil {
			w.done <- outcome{kind: h.kind, payload: payload}
		}
	}
}

// end closes the connection because of err, once, and answers all who wait.
func (c *caller) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(err)
}

func (c *caller) endLocked(err error) {
	if c.err != nil {
		return
	}
	c.outbox.endLocked(err)
	for id, w := range c.pending {
		delete(c.pending, id)
		if w.batch == c.batch {
			w.done <- outcome{err: notSent(c.to, err)}
		} else {
			w.done <- outcome{err: lost(c.to, err)}
		}
	}
	c.conn.SetDeadline(time.Unix(1, 0)) // its reader closes it
}

// beat also lets go of a connection that nobody uses, or that was made when this server
// was another, or part of no cluster.
func (c *caller) beat(self Identity, now time.Time) {
	if c.isSilent() {
		c.end(c.silence())
		return
	}
	c.ping()
	c.mu.Lock()
	if len(c.pending) > 0 || c.lastID != c.seenID {
		c.seenID, c.idle = c.lastID, now
	}
	c.mu.Unlock()
	if self != c.self || now.Sub(c.idle) >= idleTime {
		c.port.retire(c)
	}
	if c.retired.Load() {
		c.mu.Lock()
		if len(c.pending) == 0 {
			c.endLocked(errGone)
		}
		c.mu.Unlock()
	}
}

// remainingOf is how long a caller will wait, in milliseconds, rounded up; 0 is for ever.
func remainingOf(ctx context.Context) (uint32, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0, nil
	}
	left := time.Until(deadline)
	if left <= 0 {
		return 0, context.DeadlineExceeded
	}
	ms := (left + time.Millisecond - 1) / time.Millisecond
	return uint32(min(ms, math.MaxUint32)), nil
}

func notSent(to Target, err error) error {
	return fmt.Errorf("ask %v: %w: %w", to, ErrNotSent, err)
}

func lost(to Target, err error) error {
	return fmt.Errorf("ask %v: %w: %w", to, ErrLost, err)
}

func (t Target) String() string {
	if t.Node == "" {
		return "the server at " + t.Address
	}
	return "server " + t.Node + " at " + t.Address
}
