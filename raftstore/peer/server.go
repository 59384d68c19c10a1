package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"herald/registry"
)

// maxHandlers is how many requests of one connection are at work at a time. Above it
// nothing is read from the connection, which goes on to live: the heartbeats do not depend on
// the reader.
const maxHandlers = 4096

// replyBatch is how many bytes of inline answers are put together before they are written, at
// most, while more requests are in the read buffer already.
const replyBatch = 16 << 10

// server is the side of a connection that answers calls.
type server struct {
	side
	// ctx ends with the connection.
	ctx    context.Context
	cancel context.CancelFunc
	// slots has an element for each handler at work.
	slots chan struct{}
	// full says that the reader waits for a slot or for room to answer, and hears nothing
	// meanwhile. That is not the peer's fault as long as the peer takes what is sent to it.
	full atomic.Bool
	// cancels end the contexts of the handlers at work, by the id of their request. Under the
	// outbox's mutex.
	cancels map[uint64]context.CancelFunc
}

// serveCalls answers the calls on a connection until it ends.
func (p *Port) serveCalls(c *conn, self, from Identity) {
	s := &server{
		side:    newSide(p, c, self, from),
		slots:   make(chan struct{}, maxHandlers),
		cancels: make(map[uint64]context.CancelFunc),
	}
	s.outbox.init()
	s.ctx, s.cancel = context.WithCancel(p.ctx)
	p.addLink(s)
	p.wg.Go(func() {
		if err := s.write(s.conn); err != nil {
			s.end(err)
		}
	})
	s.end(s.read())
	p.removeLink(s)
	c.Close()
	p.logEnd(s.peer, c, s.why())
}

// read takes requests until the connection ends, and returns why it did.
func (s *server) read() error {
	r := newFrameReader(&s.side, s.port.cfg.MaxMessage)
	unflushed := false
	for {
		if unflushed && !r.more() {
			s.flush()
			unflushed = false
		}
		h, err := r.next()
		if err != nil {
			return err
		}
		switch h.kind {
		case kindPing:
		case kindVoid:
			if _, err := r.Discard(h.size); err != nil {
				return err
			}
		case kindCancel:
			s.mu.Lock()
			cancel := s.cancels[h.id]
			s.mu.Unlock()
			if cancel != nil {
				cancel()
			}
		case kindRequest, kindOneWay:
			e := s.port.calls[h.method]
			if e.handle != nil && !e.inline {
				req, err := r.keep(h.size)
				if err != nil {
					return err
				}
				if err := s.start(h, e.handle, req); err != nil {
					return err
				}
				continue
			}
			req, err := r.borrow(h.size)
			if err != nil {
				return err
			}
			if err := s.inline(h, e.handle, req); err != nil {
				return err
			}
			unflushed = true
		default:
			return fmt.Errorf("%w: kind %d is not for a caller to send", errMalformedFrame, h.kind)
		}
	}
}

// inline answers a request at once.
func (s *server) inline(h header, handle Handler, req []byte) error {
	reply := header{kind: kindUnserved, id: h.id}
	payload := []byte(nil)
	if handle == nil {
		payload = fmt.Appendf(nil, "server %q does not serve method %d: upgrade it", s.self.Node, h.method)
	} else {
		reply.kind, payload = s.outcomeOf(handle(s.ctx, s.peer, req))
	}
	if h.kind == kindOneWay {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.buf) >= maxQueued {
		s.ready.Signal()
		s.full.Store(true)
		defer s.full.Store(false)
	}
	if err := s.waitRoomLocked(s.ctx); err != nil {
		return err
	}
	if s.err != nil {
		return s.err
	}
	s.addLocked(reply, payload, len(s.buf) > replyBatch)
	return nil
}

// start answers a request in a goroutine, when there are not too many.
func (s *server) start(h header, handle Handler, req []byte) error {
	select {
	case s.slots <- struct{}{}:
	default:
		s.flush() // inline answers that were waiting for company
		s.full.Store(true)
		select {
		case s.slots <- struct{}{}:
			s.full.Store(false)
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
	ctx, cancel := s.ctx, context.CancelFunc(nil)
	if h.remaining > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(h.remaining)*time.Millisecond)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	if h.kind == kindRequest {
		s.mu.Lock()
		s.cancels[h.id] = cancel
		s.mu.Unlock()
	}
	s.port.wg.Go(func() { s.run(ctx, cancel, h, handle, req) })
	return nil
}

func (s *server) run(ctx context.Context, cancel context.CancelFunc, h header, handle Handler, req []byte) {
	kind, payload := s.outcomeOf(handle(ctx, s.peer, req))
	cancel()
	if h.kind == kindRequest {
		s.mu.Lock()
		delete(s.cancels, h.id)
		// The error is that the connection has ended.
		if err := s.waitRoomLocked(s.ctx); err == nil && s.err == nil {
			s.addLocked(header{kind: kind, id: h.id}, payload, true)
		}
		s.mu.Unlock()
	}
	<-s.slots
}

// outcomeOf is how what a handler returned is sent.
func (s *server) outcomeOf(resp []byte, err error) (kind, []byte) {
	if err == nil && len(resp) > s.port.cfg.MaxMessage {
		// Not ErrTooLarge, which says that nothing was done: the handler has done it.
		err = fmt.Errorf("%w: the answer has %d bytes, the limit between servers is %d", registry.ErrTimeout, len(resp), s.port.cfg.MaxMessage)
	}
	if err != nil {
		return kindError, s.port.cfg.EncodeError(err)
	}
	return kindResponse, resp
}

// end closes the connection because of err, once, and ends the contexts of its handlers.
func (s *server) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.endLocked(err)
	s.cancel()
	s.conn.SetDeadline(time.Unix(1, 0)) // its reader closes it
}

// beat also ends a connection with a server that turned out to be of another cluster.
func (s *server) beat(self Identity, _ time.Time) {
	if moved := s.moved.Swap(false); moved && s.full.Load() {
		s.heard.Store(true)
	}
	if s.isSilent() {
		s.end(s.silence())
		return
	}
	if why := disagree(protoCalls, self, s.peer); why != "" {
		s.end(fmt.Errorf("%w: %s", registry.ErrForeignCluster, why))
		return
	}
	s.ping()
}

// logEnd says that a connection ended, aloud if the peer did what no server does.
func (p *Port) logEnd(peer Identity, c *conn, err error) {
	if p.ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, errGone) {
		return
	}
	say := p.cfg.Log.Debug
	if errors.Is(err, errMalformedFrame) || errors.Is(err, registry.ErrForeignCluster) {
		say = p.cfg.Log.Warn
	}
	say("a peer's connection has ended", "peer", peer.Node, "address", c.RemoteAddr().String(), "error", err)
}
