package dnsserver

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// TestNearest: instances where the client is come before all others, and the others still come.
func TestNearest(t *testing.T) {
	var recs records
	for i, zone := range []string{"a", "a", "b", "b", ""} {
		node := fmt.Sprintf("n%d", i)
		recs.node(node, fmt.Sprintf("10.0.0.%d", i+1)).Meta = map[string]string{"zone": zone}
		recs.instance(node, "web", "web", 80)
	}
	// What an instance says of itself goes before what its node says.
	recs.instances[1].Meta = map[string]string{"zone": "b"}
	x := recs.index(t)
	on := testResponder(t, func(c *Config) { c.ZoneMeta = "zone" })
	off := testResponder(t, nil)
	random := seeded(5)
	for _, test := range []struct {
		name   string
		r      *responder
		client string
		nearby map[string]bool
	}{
		{"on a node of zone a", on, "10.0.0.2", map[string]bool{"10.0.0.1": true}},
		{"on a node of zone b", on, "10.0.0.3", map[string]bool{"10.0.0.2": true, "10.0.0.3": true, "10.0.0.4": true}},
		{"over loopback, beside n0", on, "127.0.0.1", map[string]bool{"10.0.0.1": true}},
		{"from elsewhere, to n0", on, "192.0.2.1", map[string]bool{"10.0.0.1": true}},
		{"switched off", off, "10.0.0.3", nil},
	} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV} {
			farFirst := false
			for range 50 {
				q, _ := readQuery(question("web.service.consul", qtype), false)
				q.client = netip.MustParseAddr(test.client)
				var reply dns.Msg
				if err := reply.Unpack(test.r.respond(nil, x, q, random).wire); err != nil {
					t.Fatal(err)
				}
				addresses := reply.Answer
				if qtype == dns.TypeSRV {
					addresses = reply.Extra
				}
				if len(addresses) < 5 {
					t.Fatalf("%s: %v", test.name, &reply)
				}
				for i, rr := range addresses[:len(test.nearby)] {
					if a, ok := rr.(*dns.A); !ok || !test.nearby[a.A.String()] {
						t.Errorf("%s: record %d is %v", test.name, i, rr)
					}
				}
				if a, ok := addresses[0].(*dns.A); ok && a.A.String() == "10.0.0.5" {
					farFirst = true
				}
			}
			if farFirst != (test.nearby == nil) {
				t.Errorf("%s: the one that is nowhere came first: %v", test.name, farFirst)
			}
		}
	}
}
