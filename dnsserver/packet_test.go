package dnsserver

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"herald/registry"

	"github.com/miekg/dns"
)

// capture is a dns.ResponseWriter that keeps what is written.
type capture struct {
	dns.ResponseWriter
	wire []byte
	fail error
}

func (c *capture) Write(b []byte) (int, error) {
	c.wire = append([]byte(nil), b...)
	return len(b), c.fail
}

func (c *capture) RemoteAddr() net.Addr { return &net.UDPAddr{} }

func testHandler(t testing.TB, recs *records) *handler {
	t.Helper()
	return &handler{
		responder: testResponder(t, nil), catalog: recs.catalog(t), metrics: newMetrics(&tally{}), log: quiet(),
		clock:  func() time.Time { return time.Unix(1700000000, 0) },
		random: rand.New(anyOrder{}), buffers: &sync.Pool{},
	}
}

// variety is a catalog with one of everything.
func variety() *records {
	var recs records
	recs.fleet("web", 40)
	recs.node("six", "2001:db8::1").Meta = map[string]string{"k": "v", "long": strings.Repeat("x", 700), "rfc1035-a": "b"}
	recs.node("named", "backend.example.org")
	recs.node("bare", "")
	recs.node("dots.in.it", "10.9.9.9")
	recs.instance("six", "web", "six", 1).Tags = []string{"v1", "a.b"}
	recs.instance("web-n0", "ext", "ext", 2).Address = "backend.example.com"
	recs.instance("web-n0", "alias", "alias", 3).Address = "web.service.consul"
	recs.instance("web-n0", "loop", "loop", 3).Address = "pool.service.consul"
	recs.instance("web-n0", "pool", "pool", 3).Address = "loop.service.consul"
	recs.instance("named", "consul", "consul", 8300)
	recs.instance("six", "consul", "consul", 8300)
	recs.instance("bare", "bare", "bare", 70000)
	recs.check("web-n1", "web-1", registry.Critical)
	recs.check("web-n2", "web-2", registry.Warning)
	return &recs
}

// FuzzPacket gives the handler whatever unpacks. It must not panic, and its answer
// must be readable, of the question, and within the size that was asked for.
func FuzzPacket(f *testing.F) {
	for _, name := range []string{
		"web.service.consul.", "v1.web.service.dc1.consul.", "_web._tcp.consul.", "six.node.consul.", "alias.service.consul.",
		"loop.service.consul.", "consul.", "ns.consul.", "0a190001.addr.consul.", "1.0.0.10.in-addr.arpa.", ".", "example.com.",
		"named.node.consul.", "bare.service.consul.", "ext.service.consul.", `\000\255.service.consul.`,
	} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypeANY, dns.TypeTXT, dns.TypeSOA, dns.TypeAXFR, dns.TypeOPT} {
			m := question(name, qtype)
			m.Id = 1
			plain, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(plain, false)
			m.SetEdns0(1232, true)
			opt := m.IsEdns0()
			opt.Option = append(opt.Option,
				&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(192, 0, 2, 0)},
				&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"})
			extended, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(extended, true)
		}
	}
	recs := variety()
	h := testHandler(f, recs)
	f.Fuzz(func(t *testing.T, packet []byte, stream bool) {
		var m dns.Msg
		if len(packet) < headerSize || h.accept(readHeader(packet)) != dns.MsgAccept || m.Unpack(packet) != nil {
			if _, a := h.packet(nil, packet, netip.Addr{}); len(a.wire) > headerSize {
				t.Errorf("%x is not a message, and answered with %x", packet, a.wire)
			}
			return
		}
		if stream {
			var w capture
			h.serve(&w, &m)
			checkReply(t, &m, w.wire, true)
			return
		}
		_, a := h.packet(nil, packet, netip.Addr{})
		checkReply(t, &m, a.wire, false)
	})
}

func checkReply(t *testing.T, m *dns.Msg, wire []byte, stream bool) {
	t.Helper()
	var reply dns.Msg
	if err := reply.Unpack(wire); err != nil {
		t.Fatalf("%v: the answer cannot be read: %v\n%x", m, err, wire)
	}
	limit := 512
	if opt := m.IsEdns0(); opt != nil && m.Question[0].Qtype != dns.TypeANY {
		limit = max(limit, min(int(opt.UDPSize()), 4096))
	}
	if stream {
		limit = maxMessage
	}
	if len(wire) > limit {
		t.Errorf("%v: %d bytes of %d", m, len(wire), limit)
	}
	if !reply.Response || reply.Id != m.Id || reply.Opcode != dns.OpcodeQuery || reply.RecursionDesired != m.RecursionDesired {
		t.Errorf("%v\nis answered by the header of\n%v", m, &reply)
	}
	if reply.Rcode == dns.RcodeFormatError {
		return
	}
	if len(reply.Question) != 1 || reply.Question[0] != m.Question[0] {
		t.Errorf("%v is answered for %v", m.Question, reply.Question)
	}
	if (reply.IsEdns0() != nil) != (m.IsEdns0() != nil) {
		t.Errorf("%v: OPT in the query and the answer differ", m)
	}
	if reply.Authoritative && len(reply.Answer) == 0 && !reply.Truncated && len(reply.Ns) != 1 {
		t.Errorf("%v: an empty answer without SOA", m)
	}
	if reply.Truncated && len(reply.Answer) == 0 && m.Question[0].Qtype != dns.TypeTXT && len(wire) < 300 {
		t.Errorf("%v: nothing was sent though there was room: %v", m, &reply)
	}
}

func TestMalformedQueries(t *testing.T) {
	h := testHandler(t, variety())
	twoOPT := question("web.service.consul", dns.TypeA)
	twoOPT.SetEdns0(1232, false)
	twoOPT.Extra = append(twoOPT.Extra, twoOPT.Extra[0])
	ownedOPT := question("web.service.consul", dns.TypeA)
	ownedOPT.SetEdns0(1232, false)
	ownedOPT.Extra[0].Header().Name = "x."
	none := question("web.service.consul", dns.TypeA)
	none.Question = nil
	tooLong := question(strings.Repeat("a.", 130)+"consul", dns.TypeA)
	for name, m := range map[string]*dns.Msg{"two OPT": twoOPT, "OPT of a name": ownedOPT, "no question": none, "a name of 268 bytes": tooLong} {
		var w capture
		h.serve(&w, m)
		var reply dns.Msg
		if err := reply.Unpack(w.wire); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if reply.Rcode != dns.RcodeFormatError || reply.Id != m.Id || len(reply.Answer)+len(reply.Ns) > 0 {
			t.Errorf("%s is answered %v", name, &reply)
		}
	}
}

func TestAccept(t *testing.T) {
	h := testHandler(t, &records{})
	query := dns.Header{Qdcount: 1}
	for name, test := range map[string]struct {
		change func(*dns.Header)
		want   dns.MsgAcceptAction
	}{
		"a query":               {func(*dns.Header) {}, dns.MsgAccept},
		"an answer":             {func(h *dns.Header) { h.Bits = 1 << 15 }, dns.MsgIgnore},
		"an answer to a NOTIFY": {func(h *dns.Header) { h.Bits = 1<<15 | dns.OpcodeNotify<<11 }, dns.MsgIgnore},
		"NOTIFY":                {func(h *dns.Header) { h.Bits = dns.OpcodeNotify << 11 }, dns.MsgRejectNotImplemented},
		"UPDATE":                {func(h *dns.Header) { h.Bits = dns.OpcodeUpdate << 11 }, dns.MsgRejectNotImplemented},
		"no question":           {func(h *dns.Header) { h.Qdcount = 0 }, dns.MsgReject},
		"two questions":         {func(h *dns.Header) { h.Qdcount = 2 }, dns.MsgReject},
		"an answer in a query":  {func(h *dns.Header) { h.Ancount = 1 }, dns.MsgReject},
		"IXFR":                  {func(h *dns.Header) { h.Nscount = 1 }, dns.MsgAccept},
		"OPT and TSIG":          {func(h *dns.Header) { h.Arcount = 2 }, dns.MsgAccept},
		"too much else":         {func(h *dns.Header) { h.Arcount = 3 }, dns.MsgReject},
	} {
		header := query
		test.change(&header)
		if got := h.accept(header); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestQueriesAreCounted(t *testing.T) {
	h := testHandler(t, variety())
	counts := &tally{}
	h.metrics = newMetrics(counts)
	bad := question("web.service.consul", dns.TypeA)
	bad.SetEdns0(1232, false)
	bad.IsEdns0().SetVersion(1)
	for _, m := range []*dns.Msg{
		question("web.service.consul", dns.TypeA), question("web.service.consul", dns.TypeA), question("nosuch.service.consul", dns.TypeSRV),
		question("example.com", dns.TypeCAA), question("web.service.consul", 65280), bad,
	} {
		h.ServeDNS(&capture{fail: errors.New("no route")}, m)
	}
	h.accept(dns.Header{Bits: dns.OpcodeUpdate << 11})
	h.invalid(nil, nil)
	for series, want := range map[string]int{
		"herald_dns_queries_total A NOERROR":     2,
		"herald_dns_queries_total SRV NXDOMAIN":  1,
		"herald_dns_queries_total other REFUSED": 1,
		"herald_dns_queries_total other NOERROR": 1,
		"herald_dns_queries_total A BADVERS":     1,
		"herald_dns_queries_total other NOTIMP":  1,
		"herald_dns_queries_total other FORMERR": 1,
		"herald_dns_query_duration_seconds":      6,
	} {
		if got := counts.of(series); got != want {
			t.Errorf("%s is %d, want %d (%v)", series, got, want, counts.counts)
		}
	}
}

// TestPanicIsContained: a mistake in answering costs one query, not the process.
func TestPanicIsContained(t *testing.T) {
	h := testHandler(t, &records{})
	counts := &tally{}
	h.metrics = newMetrics(counts)
	h.catalog = nil
	h.ServeDNS(&capture{}, question("web.service.consul", dns.TypeA))
	if counts.of("herald_dns_queries_total other SERVFAIL") != 1 {
		t.Error("the panic is not counted")
	}
}
