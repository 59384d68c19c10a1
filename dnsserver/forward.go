package dnsserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"herald/dnsserver/recursor"

	"github.com/miekg/dns"
)

// newForwarder asks recursors; it is nil if none are given.
func newForwarder(c *Config) (*recursor.Forwarder, error) {
	if len(c.Recursors) == 0 {
		return nil, nil
	}
	config := recursor.DefaultConfig()
	config.Servers, config.Order, config.Timeout, config.UDPMaxSize = c.Recursors, c.RecursorOrder, c.RecursorTimeout, c.UDPMaxSize
	return recursor.New(config)
}

// forwarding ends what recursors are asked when the door ends.
type forwarding struct{ *recursor.Forwarder }

func (f forwarding) serve(ctx context.Context) error {
	<-ctx.Done()
	f.Close()
	return nil
}

// forward is what recursors answer to a query, or else that they do not: refusal is the answer that the query gets
// where there are none. It takes as long as they do.
func (h *handler) forward(query, refusal []byte, stream bool) response {
	answer, err := h.recursors.Forward(context.Background(), query, stream)
	if err == nil {
		return response{wire: answer, rcode: int(answer[3] & 0xf)}
	}
	h.log.Debug("dns: not answered by recursors", "err", err)
	flags := binary.BigEndian.Uint16(refusal[2:])&^0xf | dns.RcodeServerFailure
	binary.BigEndian.PutUint16(refusal[2:], flags)
	code, text := recursor.ExtendedError(err)
	return response{wire: recursor.AddOptions(refusal, extendedError(code, text)), rcode: dns.RcodeServerFailure}
}

// extendedError is an option that says what went wrong (RFC 8914).
func extendedError(code uint16, text string) []byte {
	b := binary.BigEndian.AppendUint16(nil, dns.EDNS0EDE)
	b = binary.BigEndian.AppendUint16(b, uint16(2+len(text)))
	b = binary.BigEndian.AppendUint16(b, code)
	return append(b, text...)
}

// forward has recursors answer the i-th packet, while others are answered here.
func (u *udpServer) forward(i int, qtype uint16, refusal []byte) {
	query, send := bytes.Clone(u.packets.packet(i)), u.packets.later(i)
	refusal = bytes.Clone(refusal)
	u.forwarded.Go(func() {
		defer u.recovered()
		start := time.Now()
		a := u.handler.forward(query, refusal, false)
		if err := send(a.wire); err != nil && !gone(err) {
			u.log.Debug("dns: answer not sent", "bytes", len(a.wire), "err", err)
		}
		u.metrics.answered(qtype, a.rcode, time.Since(start))
	})
}
