package peer

import (
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// silentBeats is how many beats may pass without a byte from the peer.
const silentBeats = 3

// link is one side of a connection for calls, a *caller or a *server, for beats.
type link interface {
	// beat is called once each PingInterval, by one goroutine.
	beat(self Identity, now time.Time)
}

// side is what either side of a connection for calls has.
type side struct {
	outbox
	port *Port
	conn net.Conn
	// self and peer are who the two said they are in the handshake.
	self, peer Identity

	heard  atomic.Bool // a byte was read since the last beat
	silent int         // beats in a row without one; the beating goroutine's
}

func newSide(p *Port, c *conn, self, peer Identity) side {
	return side{port: p, conn: c, self: self, peer: peer}
}

// Read makes what reads from the connection notice signs of life, also in the middle of
// a long message.
func (s *side) Read(b []byte) (int, error) {
	n, err := s.conn.Read(b)
	if n > 0 {
		s.heard.Store(true)
	}
	return n, err
}

// isSilent counts a beat, and says whether it was one too many.
func (s *side) isSilent() bool {
	if s.heard.Swap(false) {
		s.silent = 0
		return false
	}
	s.silent++
	return s.silent >= silentBeats
}

func (s *side) silence() error {
	return fmt.Errorf("nothing was heard from it for %v", silentBeats*s.port.cfg.PingInterval)
}

// ping sends a sign of life, unless something is waiting to be written anyway.
func (s *side) ping() {
	s.mu.Lock()
	if s.err == nil && len(s.buf) == 0 {
		s.addLocked(header{kind: kindPing}, nil, true)
	}
	s.mu.Unlock()
}

// beat keeps the connections for calls alive, and finds those that are not, until the
// port is closed.
func (p *Port) beat() {
	tick := time.NewTicker(p.cfg.PingInterval)
	defer tick.Stop()
	var links []link
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-tick.C:
		}
		self, now := p.cfg.Self(), time.Now()
		links = links[:0]
		p.mu.Lock()
		for l := range p.links {
			links = append(links, l)
		}
		for to, r := range p.routes {
			if r.failed(now) {
				delete(p.routes, to)
			}
		}
		p.mu.Unlock()
		for i, l := range links {
			l.beat(self, now)
			links[i] = nil
		}
	}
}
