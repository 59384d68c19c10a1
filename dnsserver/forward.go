package dnsserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"time"

	"herald/dnsserver/recursor"
	"herald/registry/plugin"

	"github.com/miekg/dns"
)

// newForwarder asks recursors; it is nil if none are given.
func newForwarder(c *Config, log *slog.Logger, m plugin.Metrics) (*recursor.Forwarder, error) {
	if len(c.Recursors) == 0 {
		return nil, nil
	}
	failures := m.Counter("herald_dns_recursor_failures_total", "Tries to ask a recursor that nothing came of, by recursor.", "recursor")
	config := recursorConfig(c)
	config.Log = log
	config.Failures = func(server netip.AddrPort) interface{ Inc() } { return failures.With(server.String()) }
	f, err := recursor.New(config)
	if err == nil {
		m.Gauge("herald_dns_recursors_dead", "How many recursors do not answer, and are asked after the others.", func() float64 { return float64(f.Dead()) })
	}
	return f, err
}

func recursorConfig(c *Config) recursor.Config {
	config := recursor.DefaultConfig()
	config.Servers, config.Order, config.Timeout, config.UDPMaxSize = c.Recursors, c.RecursorOrder, c.RecursorTimeout, c.UDPMaxSize
	return config
}

// forwarding ends what recursors are asked when the door ends.
type forwarding struct{ *recursor.Forwarder }

func (f forwarding) serve(ctx context.Context) error {
	<-ctx.Done()
	f.Close()
	return nil
}

// forward is what recursors answer to a query, with this server's cookie, or else that they do not. It takes as long as
// they do.
func (h *handler) forward(query []byte, a response, stream bool) response {
	answer, err := h.recursors.Forward(context.Background(), query, stream)
	if err == nil {
		e := &a.pending.edns
		return response{wire: recursor.AddOptions(answer, e.reply[:e.replySize]), rcode: int(answer[3] & 0xf)}
	}
	refusal := a.wire
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

// recurse has recursors answer a query, or go on with what is answered of it.
func (h *handler) recurse(query []byte, a response, stream bool) response {
	if a.leads == (leading{}) {
		return h.forward(query, a, stream)
	}
	return h.follow(a)
}

// recurse has recursors answer the i-th packet, or go on with its answer, while others are answered here.
func (u *udpServer) recurse(i int, qtype uint16, a response) {
	query, send := bytes.Clone(u.packets.packet(i)), u.packets.later(i)
	a = a.kept()
	u.recursing.Go(func() {
		defer u.recovered()
		start := time.Now()
		a := u.handler.recurse(query, a, false)
		if err := send(a.wire); err != nil && !gone(err) {
			u.log.Debug("dns: answer not sent", "bytes", len(a.wire), "err", err)
		}
		u.metrics.answered(qtype, a.rcode, time.Since(start))
	})
}
