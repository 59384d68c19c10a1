package dnsserver

import (
	"net/netip"

	"herald/dnsserver/cookie"
	"herald/dnsserver/limit"

	"github.com/miekg/dns"
)

// newLimiter bounds how many packets of a client are answered; it is nil where none are to be.
func newLimiter(c *Config) (*limit.Limiter, error) {
	if c.MaxQueriesPerSecond == 0 {
		return nil, nil
	}
	l := limit.DefaultConfig()
	l.Rate, l.Burst = c.MaxQueriesPerSecond, c.MaxQueriesPerSecond // who has not asked for a second may do so at once
	return limit.New(l)
}

// flood answers a packet of a client that has asked for more than it may: as any other, if the client shows by
// a cookie that it receives what it asks for, for which it reports false; else with nothing but TC, or not at all.
func (u *udpServer) flood(dst, packet []byte, client netip.Addr, v limit.Verdict) (answer []byte, done bool) {
	q := &u.query
	if !q.readPacket(packet) {
		u.limited.Inc()
		return dst[:0], true
	}
	if own, server, ok := cookie.Split(q.edns.cookie); ok && u.cookies != nil && u.cookies.Check(own, server, client, u.clock().Unix()).Valid() {
		return dst[:0], false
	}
	u.limited.Inc()
	if v != limit.Slip {
		return dst[:0], true
	}
	q.edns.subnetSize = 0
	var m message
	m.begin(dst, q)
	m.truncated = true
	return m.finish(q, dns.RcodeSuccess, false), true
}
