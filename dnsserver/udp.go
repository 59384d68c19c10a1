package dnsserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"herald/dnsserver/limit"
)

// receivePause is how long a socket rests after a failure that may pass by itself, such as
// too little memory.
const receivePause = 10 * time.Millisecond

// began is what the times of packets are counted from.
var began = time.Now()

// udpServer answers the packets of one socket, in one goroutine.
type udpServer struct {
	*handler
	conn    *net.UDPConn
	packets packets

	query query
	ahead ahead
	// now is when the last packets were received, in nanoseconds since some time, and answered how many of them were.
	now      int64
	answered int
	// recursing are the queries that recursors are asked for.
	recursing sync.WaitGroup
}

func newUDPServer(h *handler, conn *net.UDPConn) (*udpServer, error) {
	p, err := newPackets(conn)
	if err != nil {
		return nil, fmt.Errorf("the UDP socket on %s cannot be used: %w", conn.LocalAddr(), err)
	}
	return &udpServer{handler: h, conn: conn, packets: p}, nil
}

// serve answers packets until ctx ends, and what was received by then.
func (u *udpServer) serve(ctx context.Context) error {
	defer u.conn.Close()
	defer u.recursing.Wait() // what recursors are asked ends with ctx, and these with it
	defer context.AfterFunc(ctx, func() { _ = u.packets.stop() })()
	for {
		n, err := u.packets.receive()
		switch {
		case err == nil:
			u.round(n)
		case stopped(err):
			if ctx.Err() != nil {
				return nil
			}
			return err
		default:
			u.log.Warn("dns: packets cannot be received; trying again", "address", u.conn.LocalAddr(), "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(receivePause):
			}
		}
	}
}

// round answers the n packets that were received.
func (u *udpServer) round(n int) {
	start := time.Now()
	u.now, u.answered = int64(start.Sub(began)), 0
	u.lookAhead(n)
	for i := range n {
		u.one(i)
	}
	u.packets.flush(n)
	took := time.Since(start).Seconds()
	for range u.answered {
		u.metrics.duration.Observe(took)
	}
}

// one writes the answer to the i-th packet.
func (u *udpServer) one(i int) {
	dst := u.packets.answer(i)
	u.packets.setAnswer(i, dst)
	defer u.recovered()
	qtype, a := u.reply(dst, u.packets.packet(i), u.packets.client(i).Addr())
	if a.pending != nil {
		u.recurse(i, qtype, a)
		a.wire = a.wire[:0]
	}
	if len(a.wire) > 0 {
		u.answered++
	}
	u.packets.setAnswer(i, a.wire)
}

// reply is the answer to a packet, empty if it gets none, and the type that was asked for.
func (u *udpServer) reply(dst, packet []byte, client netip.Addr) (qtype uint16, a response) {
	if u.limiter != nil {
		if v := u.limiter.Check(client, u.now); v != limit.Answer {
			if wire, done := u.flood(dst, packet, client, v); done {
				return 0, response{wire: wire}
			}
		}
	}
	if a = u.fast(dst, packet, client); a.wire != nil {
		return u.query.qtype, a
	}
	return u.packet(dst, packet, client)
}

// fast answers a packet that is like most, without allocating; the answer is nil if it is not like most.
func (u *udpServer) fast(dst, packet []byte, client netip.Addr) response {
	q := &u.query
	if !q.readPacket(packet) {
		return response{}
	}
	q.client = client
	a := u.answer(dst, q)
	if a.pending == nil {
		u.metrics.count(q.qtype, a.rcode)
	}
	return a
}
