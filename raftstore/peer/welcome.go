package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// handshakeTimeout is how long a dialler may take to say who it is.
const handshakeTimeout = 5 * time.Second

// welcome is the accepting side of the handshake, and then does what the connection is for.
func (p *Port) welcome(c *conn) {
	proto, h, self, err := p.meet(c)
	if err != nil {
		c.Close()
		// A connection closed without a word is a probe of the port.
		if p.ctx.Err() == nil && !errors.Is(err, io.EOF) {
			p.refusals.warn(p.cfg.Log, "refused a peer's connection", "from", c.RemoteAddr().String(),
				"node", h.from.Node, "advertised", h.advertise, "error", err)
		}
		return
	}
	switch proto {
	case protoRaft:
		p.raft.hand(c)
	case protoCalls:
		p.serveCalls(c, self, h.from)
	case protoStream:
		ctx, cancel := context.WithCancel(p.ctx)
		defer cancel()
		defer c.Close()
		p.streams[h.method](ctx, h.from, c)
	}
}

// meet reads who dialled, and for what, and answers.
func (p *Port) meet(c *conn) (protocol, hello, Identity, error) {
	if err := c.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return 0, hello{}, Identity{}, err
	}
	var first [1]byte
	if _, err := io.ReadFull(c, first[:]); err != nil {
		return 0, hello{}, Identity{}, err
	}
	proto := protocol(first[0])
	if proto < protoRaft || proto > protoStream {
		return 0, hello{}, Identity{}, fmt.Errorf("unknown peer protocol %d: is that another program, or a newer version?", proto)
	}
	b, err := readHandshake(c)
	if err != nil {
		return 0, hello{}, Identity{}, err
	}
	h, err := parseHello(b)
	if err != nil {
		return 0, hello{}, Identity{}, err
	}
	self := p.cfg.Self()
	v, reason := p.judge(proto, self, h)
	a := answer{version: handshakeVersion, verdict: v, reason: reason, by: self}
	if err := writeHandshake(c, nil, a.append(nil)); err != nil {
		return 0, h, self, err
	}
	if v != accepted {
		return 0, h, self, errors.New(reason)
	}
	return proto, h, self, c.SetDeadline(time.Time{})
}

// judge decides about a dialler.
func (p *Port) judge(proto protocol, self Identity, h hello) (verdict, string) {
	if h.version > handshakeVersion {
		return incompatible, fmt.Sprintf("server %q speaks version %d of the peer protocol, the caller version %d: upgrade this server",
			self.Node, handshakeVersion, h.version)
	}
	for _, why := range []string{disagree(proto, self, h.from), mistaken(h.want, self.Node)} {
		if why != "" {
			return foreign, why
		}
	}
	if proto == protoStream && p.streams[h.method] == nil {
		return incompatible, fmt.Sprintf("server %q does not serve streams of method %d: upgrade it", self.Node, h.method)
	}
	return accepted, ""
}

// refusalLog writes one line a second at most: a server that is refused tries again at once.
type refusalLog struct {
	mu      sync.Mutex
	last    time.Time
	omitted int
}

func (r *refusalLog) warn(log *slog.Logger, msg string, args ...any) {
	r.mu.Lock()
	now := time.Now()
	if now.Sub(r.last) < time.Second {
		r.omitted++
		r.mu.Unlock()
		return
	}
	omitted := r.omitted
	r.last, r.omitted = now, 0
	r.mu.Unlock()
	log.Warn(msg, append(args, "omitted_before", omitted)...)
}
