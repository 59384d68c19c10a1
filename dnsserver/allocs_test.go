//go:build !race

package dnsserver

// With the race detector, pools forget some of what they are given, so that allocations cannot be counted.

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// TestFastPathAllocatesNothing, once it has answered the first queries.
func TestFastPathAllocatesNothing(t *testing.T) {
	u := &udpServer{handler: keyedHandler(t, variety(), varietyOfKeys())}
	dst := make([]byte, 0, 4096)
	for name, qtype := range map[string]uint16{
		"web.service.consul": dns.TypeSRV, "v1.web.service.dc1.consul": dns.TypeA, "_web._tcp.consul": dns.TypeSRV, "six.node.consul": dns.TypeAAAA,
		"nosuch.service.consul": dns.TypeA, "0a190001.addr.consul": dns.TypeA, "ext.service.consul": dns.TypeA, "service.consul": dns.TypeNS,
		"db.skydns.local": dns.TypeSRV, "replica.db.skydns.local": dns.TypeA, "nosuch.skydns.local": dns.TypeA, "skydns.local": dns.TypeNS, "alias.skydns.local": dns.TypeAAAA,
	} {
		m := question(name, qtype)
		m.SetEdns0(1232, false)
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		ask := func() {
			if a := u.fast(dst, packet, netip.Addr{}); len(a.wire) == 0 {
				t.Fatalf("%s is not answered by the fast path", name)
			}
		}
		ask()
		if n := testing.AllocsPerRun(200, ask); n > 0 {
			t.Errorf("%s %s: %v allocations", name, dns.TypeToString[qtype], n)
		}
	}
}
