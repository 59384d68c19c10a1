package dnsserver

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"herald/registry"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// bothWays answers a packet by the fast path and by the handler's, from the same random numbers. The
// first is nil if the fast path leaves it to the other.
func bothWays(h *handler, packet []byte, seed uint64) (fast, slow []byte) {
	client := netip.AddrFrom4([4]byte{192, 0, 2, 1})
	u := &udpServer{handler: h}
	h.random = seeded(seed)
	fast = u.fast(nil, packet, client).wire
	h.random = seeded(seed)
	_, a := h.packet(nil, packet, client)
	return fast, a.wire
}

// anyRecords is a catalog of few nodes and services with much of what makes answers differ.
func anyRecords(t *rapid.T) *records {
	var recs records
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	nodes := rapid.IntRange(1, 6).Draw(t, "nodes")
	for n := range nodes {
		node := recs.node(fmt.Sprintf("n%d", n), pick("address", "10.0.0.1", "10.0.0.2", "2001:db8::1", "db.example.org", "n0.node.consul", "web.service.consul", ""))
		if rapid.Bool().Draw(t, "has metadata") {
			node.Meta = map[string]string{"rack": pick("rack", "r1", "r2"), "rfc1035-note": "a note"}
		}
		if rapid.Bool().Draw(t, "is tagged") {
			node.TaggedAddresses = map[string]string{"lan_ipv4": "10.1.0.9", "lan_ipv6": "2001:db8::9"}
		}
	}
	for i := range rapid.IntRange(0, 40).Draw(t, "instances") {
		node := fmt.Sprintf("n%d", rapid.IntRange(0, nodes-1).Draw(t, "node"))
		id := fmt.Sprintf("i%d", i)
		in := recs.instance(node, pick("service", "web", "db", "Consul"), id, rapid.SampledFrom([]int{80, 81, 0, 70000}).Draw(t, "port"))
		in.Address = pick("own", "", "", "10.2.0.1", "10.2.0.2", "2001:db8:2::1", "ext.example.com", "db.service.consul", "n1.node.consul")
		in.Weights = registry.Weights{Passing: rapid.SampledFrom([]int{0, 1, 10, 70000}).Draw(t, "weight"), Warning: 1}
		if rapid.Bool().Draw(t, "has tags") {
			in.Tags = []string{"v1", pick("tag", "V2", "a.b")}
		}
		if s := pick("status", "passing", "passing", "warning", "critical"); s != "passing" {
			recs.check(node, id, registry.HealthStatus(s))
		}
	}
	return &recs
}

// anyPacket is a query as clients send it, or nearly.
func anyPacket(t *rapid.T) []byte {
	m := question(rapid.SampledFrom([]string{
		"web.service.consul.", "WEB.Service.CONSUL.", "v1.web.service.consul.", "a.b.db.service.dc1.consul.", "_web._tcp.service.consul.", "_db._v2.consul.",
		"none.service.consul.", "n0.node.consul.", "n1.node.dc1.consul.", "nx.node.consul.", "consul.", "ns.consul.", "service.consul.", "0a000001.addr.consul.",
		"1.0.0.10.in-addr.arpa.", "example.org.", ".", "q.query.consul.", `\000\255.service.consul.`,
	}).Draw(t, "name"), rapid.SampledFrom([]uint16{
		dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeANY, dns.TypeTXT, dns.TypeSOA, dns.TypeNS, dns.TypePTR, dns.TypeCNAME, dns.TypeAXFR, dns.TypeOPT, 0, 65280,
	}).Draw(t, "type"))
	m.Id = 77
	m.Question[0].Qclass = rapid.SampledFrom([]uint16{dns.ClassINET, dns.ClassINET, dns.ClassINET, dns.ClassANY, dns.ClassCHAOS}).Draw(t, "class")
	m.RecursionDesired, m.CheckingDisabled, m.AuthenticatedData = rapid.Bool().Draw(t, "rd"), rapid.Bool().Draw(t, "cd"), rapid.Bool().Draw(t, "ad")
	if rapid.Bool().Draw(t, "edns") {
		m.SetEdns0(rapid.SampledFrom([]uint16{0, 512, 1232, 4096, 65535}).Draw(t, "size"), rapid.Bool().Draw(t, "do"))
		opt := m.IsEdns0()
		if rapid.IntRange(0, 9).Draw(t, "version") == 0 {
			opt.SetVersion(1)
		}
		for range rapid.IntRange(0, 3).Draw(t, "options") {
			opt.Option = append(opt.Option, rapid.SampledFrom([]dns.EDNS0{
				&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"},
				&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "01020304050607080102030405060708"},
				&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "010203"},
				&dns.EDNS0_NSID{Code: dns.EDNS0NSID},
				&dns.EDNS0_PADDING{Padding: make([]byte, 7)},
				&dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")},
				&dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE},
				&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 20, Address: net.IPv4(192, 0, 2, 0)},
				&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 2, SourceNetmask: 56, Address: net.ParseIP("2001:db8::")},
				&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 0, Address: net.IPv4zero},
			}).Draw(t, "option"))
		}
	}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// TestFastPathIsTheHandler: over catalogs and queries of all sorts, and queries with damage, the two ways to an
// answer give the same bytes, and most queries go the fast one.
func TestFastPathIsTheHandler(t *testing.T) {
	fast, all := 0, 0
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		h := testHandler(outer, anyRecords(t))
		for n := range 40 {
			packet := anyPacket(t)
			if n%4 == 3 {
				packet = damaged(t, packet)
			} else {
				all++
			}
			a, b := bothWays(h, packet, uint64(n))
			if a == nil {
				continue
			}
			if n%4 != 3 {
				fast++
			}
			if string(a) != string(b) {
				t.Fatalf("%x is answered\n%x\nand by the handler\n%x", packet, a, b)
			}
		}
	})
	if fast < all/2 {
		t.Errorf("%d of %d queries went the fast path", fast, all)
	}
}

// damaged is a packet with a few bytes changed, cut or added.
func damaged(t *rapid.T, packet []byte) []byte {
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		packet[rapid.IntRange(0, len(packet)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "to")
	}
	switch rapid.IntRange(0, 3).Draw(t, "length") {
	case 0:
		return packet[:rapid.IntRange(0, len(packet)).Draw(t, "cut")]
	case 1:
		return append(packet, rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "more")...)
	}
	return packet
}

// FuzzFastPath: whatever the fast path takes, it answers as the handler does.
func FuzzFastPath(f *testing.F) {
	m := question("web.service.consul.", dns.TypeSRV)
	m.SetEdns0(1232, true)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(192, 0, 2, 0)}}
	packet, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packet)
	f.Add([]byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01"))
	h := testHandler(f, variety())
	f.Fuzz(func(t *testing.T, packet []byte) {
		if fast, slow := bothWays(h, packet, 1); fast != nil && string(fast) != string(slow) {
			t.Errorf("%x is answered\n%x\nand by the handler\n%x", packet, fast, slow)
		}
	})
}

// BenchmarkFast answers a packet, up to the one that is sent: a service of 10 instances, any one of so many. With
// a million instances nothing of it is in the processor's caches.
func BenchmarkFast(b *testing.B) {
	for _, services := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprintf("%d_instances", 10*services), func(b *testing.B) {
			var recs records
			for n := range 10 {
				recs.node(fmt.Sprintf("n%d", n), fmt.Sprintf("10.0.0.%d", n))
			}
			for s := range services {
				for n := range 10 {
					name := fmt.Sprintf("svc%06d", s)
					recs.instance(fmt.Sprintf("n%d", n), name, name, 80).Address = netip.AddrFrom4([4]byte{10, byte(s >> 12), byte(s >> 4), byte(s<<4 + n)}).String()
				}
			}
			h := testHandler(b, &recs)
			h.random = rand.New(anyOrder{})
			for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV} {
				b.Run(dns.TypeToString[qtype], func(b *testing.B) { h.benchmark(b, qtype, services) })
			}
		})
	}
}

func (h *handler) benchmark(b *testing.B, qtype uint16, services int) {
	u := &udpServer{handler: h}
	m := question("svc000000.service.consul", qtype)
	m.SetEdns0(1232, false)
	packet, err := m.Pack()
	if err != nil {
		b.Fatal(err)
	}
	together := &received{wires: make([][]byte, 8), answers: make([][]byte, 8)}
	for i := range together.wires {
		together.wires[i] = bytes.Clone(packet)
	}
	u.packets = together
	random := seeded(1)
	for s := range services {
		askFor(packet, s)
		u.fast(nil, packet, netip.Addr{}) // its plan is made
	}
	runtime.GC()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%len(together.wires) > 0 {
			continue // they are answered together
		}
		for _, packet := range together.wires {
			askFor(packet, random.IntN(services))
		}
		u.round(len(together.wires))
	}
	if u.answered != len(together.wires) {
		b.Fatal("not answered")
	}
}

// askFor has a packet ask for the service of that number.
func askFor(packet []byte, service int) {
	const digits = headerSize + 1 + len("svc")
	for at := digits + 5; at >= digits; at-- {
		packet[at] = '0' + byte(service%10)
		service /= 10
	}
}
