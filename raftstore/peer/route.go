package peer

import (
	"context"
	"time"
)

// redialPause is how long the failure of a dial is the answer to all who want the same.
const redialPause = 50 * time.Millisecond

// route is the connection for calls to a target, or the attempt at one.
type route struct {
	ready chan struct{} // closed when the dial has ended

	// Under the port's mutex.
	caller *caller
	err    error     // why there is none
	until  time.Time // for how long that is the answer
}

func (r *route) failed(now time.Time) bool { return r.err != nil && !now.Before(r.until) }

// reach returns the connection to a target, and whether it had to wait for it to be dialled.
func (p *Port) reach(ctx context.Context, to Target) (c *caller, dialled bool, err error) {
	r, err := p.routeTo(to)
	if err != nil {
		return nil, false, notSent(to, err)
	}
	select {
	case <-r.ready:
	default:
		dialled = true
		select {
		case <-r.ready:
		case <-ctx.Done():
			return nil, true, notSent(to, context.Cause(ctx))
		}
	}
	// Written before ready was closed, and never again.
	return r.caller, dialled, r.err
}

// atHand returns the connection to a target if there is one, and begins to dial if not.
func (p *Port) atHand(to Target) *caller {
	r, err := p.routeTo(to)
	if err != nil {
		return nil
	}
	select {
	case <-r.ready:
		return r.caller
	default:
		return nil
	}
}

// routeTo finds the route to a target, or begins one.
func (p *Port) routeTo(to Target) (*route, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	r := p.routes[to]
	if r == nil || r.err != nil && r.failed(time.Now()) {
		r = &route{ready: make(chan struct{})}
		p.routes[to] = r
		p.wg.Go(func() { p.connect(to, r) })
	}
	return r, nil
}

// connect dials for a route and then reads what comes back on it, until the connection
// ends.
func (p *Port) connect(to Target, r *route) {
	d, err := p.dial(p.ctx, protoCalls, to, 0)
	if err != nil {
		p.mu.Lock()
		r.err, r.until = err, time.Now().Add(redialPause)
		p.mu.Unlock()
		close(r.ready)
		return
	}
	c := &caller{
		side:    newSide(p, d.conn, d.self, d.peer),
		route:   r,
		to:      to,
		pending: make(map[uint64]*call),
		idle:    time.Now(),
	}
	c.outbox.init()
	p.mu.Lock()
	r.caller = c
	p.links[c] = struct{}{}
	p.mu.Unlock()
	close(r.ready)
	p.wg.Go(func() {
		if err := c.write(c.conn); err != nil {
			c.end(err)
		}
	})
	err = c.read()
	p.retire(c) // before those who wait hear of it, and call again
	if p.ctx.Err() != nil {
		err = errClosed
	}
	c.end(err)
	p.removeLink(c)
	d.conn.Close()
	p.logEnd(c.peer, d.conn, c.why())
}

// retire makes new calls take another connection.
func (p *Port) retire(c *caller) {
	if c.retired.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.routes[c.to] == c.route {
		delete(p.routes, c.to)
	}
}

// Reintroduce makes calls from now on take connections under the identity this server has now.
// Without it they do after one PingInterval.
func (p *Port) Reintroduce() {
	self := p.cfg.Self()
	p.mu.Lock()
	var old []*caller
	for _, r := range p.routes {
		if r.caller != nil && r.caller.self != self {
			old = append(old, r.caller)
		}
	}
	p.mu.Unlock()
	for _, c := range old {
		p.retire(c)
	}
}

func (p *Port) addLink(l link) {
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()
}

func (p *Port) removeLink(l link) {
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}
