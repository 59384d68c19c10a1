package peer

import (
	"context"
	"fmt"
	"net"
	"time"

	"herald/registry"
)

// dialled is a connection after its handshake.
type dialled struct {
	conn       *conn
	self, peer Identity
}

// dial opens a connection and shakes hands, within ctx and DialTimeout. Its error is ErrNotSent.
func (p *Port) dial(ctx context.Context, proto protocol, to Target, m Method) (dialled, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.cfg.DialTimeout, fmt.Errorf("no answer within %v", p.cfg.DialTimeout))
	defer cancel()
	stop := context.AfterFunc(p.ctx, cancel)
	defer stop()
	d, err := p.dialWithin(ctx, proto, to, m)
	if err != nil {
		switch {
		case p.ctx.Err() != nil:
			err = errClosed
		case ctx.Err() != nil:
			err = context.Cause(ctx) // err is only that the dial was interrupted
		}
		return dialled{}, notSent(to, err)
	}
	return d, nil
}

func (p *Port) dialWithin(ctx context.Context, proto protocol, to Target, m Method) (dialled, error) {
	if ctx.Err() != nil {
		return dialled{}, context.Cause(ctx)
	}
	nc, err := p.cfg.Network.Dial(ctx, to.Address)
	if err != nil {
		return dialled{}, err
	}
	c, err := p.track(nc)
	if err != nil {
		return dialled{}, err
	}
	interrupt := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	self := p.cfg.Self()
	by, err := p.introduce(c, proto, self, to, m)
	if err == nil && !interrupt() {
		err = context.Cause(ctx)
	}
	if err != nil {
		interrupt()
		c.Close()
		return dialled{}, err
	}
	return dialled{c, self, by}, nil
}

// introduce is the dialler's side of the handshake. It returns who answered.
func (p *Port) introduce(c net.Conn, proto protocol, self Identity, to Target, m Method) (Identity, error) {
	h := hello{version: handshakeVersion, from: self, advertise: p.advertise.String(), want: to.Node, method: m}
	if err := writeHandshake(c, []byte{byte(proto)}, h.append(nil)); err != nil {
		return Identity{}, err
	}
	b, err := readHandshake(c)
	if err != nil {
		return Identity{}, err
	}
	a, err := parseAnswer(b)
	if err != nil {
		return Identity{}, err
	}
	if a.by.Node != "" && disagree(protoCalls, self, a.by) == "" && p.cfg.Met != nil {
		p.cfg.Met(a.by, to.Address)
	}
	if a.verdict == foreign {
		return a.by, fmt.Errorf("%w: %s", registry.ErrForeignCluster, a.reason)
	}
	if a.verdict != accepted {
		return a.by, fmt.Errorf("refused: %s", a.reason)
	}
	if a.version > handshakeVersion {
		return a.by, fmt.Errorf("it speaks version %d of the peer protocol, this server %d: upgrade the older", a.version, handshakeVersion)
	}
	for _, why := range []string{mistaken(to.Node, a.by.Node), disagree(proto, self, a.by)} {
		if why != "" {
			return a.by, fmt.Errorf("%w: %s", registry.ErrForeignCluster, why)
		}
	}
	return a.by, nil
}

// Stream opens a stream of a method. The context bounds the opening alone, and so does
// DialTimeout. An error is ErrNotSent. The connection, which is the caller's to close, has
// a method CloseWrite() error.
func (p *Port) Stream(ctx context.Context, to Target, m Method) (net.Conn, error) {
	d, err := p.dial(ctx, protoStream, to, m)
	if err != nil {
		return nil, err
	}
	return d.conn, nil
}
