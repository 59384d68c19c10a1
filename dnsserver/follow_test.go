package dnsserver

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"herald/dnsserver/recursor"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// theWorld is a recursor that has these records, and none for other names, which do not exist. It follows
// aliases, as recursors do.
func theWorld(t *testing.T, records ...string) string {
	t.Helper()
	var all []dns.RR
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rr)
	}
	return serverWith(t, func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(r)
		m.RecursionAvailable = true
		asked := r.Question[0]
		for name, known := asked.Name, true; known; {
			known = false
			next := name
			for _, rr := range all {
				if !strings.EqualFold(rr.Header().Name, name) {
					continue
				}
				known = true
				if c, ok := rr.(*dns.CNAME); ok && asked.Qtype != dns.TypeCNAME {
					next = c.Target
					m.Answer = append(m.Answer, rr)
				} else if rr.Header().Rrtype == asked.Qtype {
					m.Answer = append(m.Answer, rr)
				}
			}
			if !known {
				m.Rcode = dns.RcodeNameError
			}
			if next == name {
				break
			}
			name = next
		}
		if r.IsEdns0() != nil {
			m.SetEdns0(1232, false)
		}
		if strings.HasPrefix(asked.Name, "broken.") {
			m.Rcode, m.Answer = dns.RcodeServerFailure, nil
		}
		if w.LocalAddr().Network() == "udp" {
			m.Truncate(1232)
		}
		_ = w.WriteMsg(m) // the client may have gone
	})
}

// TestAliasesOutOfTheZones: recursors go on where an alias leads, if the client wants recursion.
func TestAliasesOutOfTheZones(t *testing.T) {
	var recs records
	recs.node("host", "10.0.0.1")
	recs.node("far", "Far.example.org")
	for _, name := range []string{"www.example.com", "alias.example.com", "gone.example.com", "six.example.com", "broken.example.com", "many.example.com",
		"back.example.com", "again.example.com", "circle.example.com", "lost.example.com", "thrice.example.com"} {
		service, _, _ := strings.Cut(name, ".")
		recs.instance("host", service, service, 80).Address = name
	}
	recs.instance("host", "web", "web", 80)
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("many.example.com. 60 IN A 192.0.3.%d", i))
	}
	world := theWorld(t, append(many,
		"www.example.com. 60 IN A 192.0.2.1", "www.example.com. 60 IN A 192.0.2.2",
		"alias.example.com. 30 IN CNAME b.example.net.", "b.example.net. 20 IN CNAME www.example.com.",
		"six.example.com. 60 IN AAAA 2001:db8::6", "far.example.org. 60 IN A 192.0.2.9",
		"back.example.com. 30 IN CNAME b.example.com.", "b.example.com. 30 IN CNAME Web.Service.Consul.", "web.service.consul. 30 IN A 192.0.2.66",
		"again.example.com. 30 IN CNAME www.service.consul.",
		"circle.example.com. 30 IN CNAME circle.service.consul.",
		"lost.example.com. 30 IN CNAME lost.node.consul.",
		"thrice.example.com. 30 IN CNAME again.service.consul.",
		"8.8.8.8.in-addr.arpa. 60 IN PTR dns.example.")...)
	d := openDoor(t, testHost(recs.catalog(t)), func(c *Config) { c.Recursors = []string{world} })
	run(t, d)
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"www.service.consul.", dns.TypeA, `NOERROR aa rd ra
answer www.example.com. 60 IN A 192.0.2.1
answer www.example.com. 60 IN A 192.0.2.2
answer www.service.consul. 0 IN CNAME www.example.com.`},
		{"www.service.consul.", dns.TypeAAAA, `NOERROR aa rd ra
answer www.service.consul. 0 IN CNAME www.example.com.`},
		{"www.service.consul.", dns.TypeCNAME, `NOERROR aa rd ra
answer www.service.consul. 0 IN CNAME www.example.com.`},
		{"www.service.consul.", dns.TypeSRV, `NOERROR aa rd ra
answer www.service.consul. 0 IN SRV 1 1 80 www.example.com.`},
		{"alias.service.consul.", dns.TypeA, `NOERROR aa rd ra
answer alias.example.com. 30 IN CNAME b.example.net.
answer alias.service.consul. 0 IN CNAME alias.example.com.
answer b.example.net. 20 IN CNAME www.example.com.
answer www.example.com. 60 IN A 192.0.2.1
answer www.example.com. 60 IN A 192.0.2.2`},
		{"gone.service.consul.", dns.TypeA, `NXDOMAIN aa rd ra
answer gone.service.consul. 0 IN CNAME gone.example.com.`},
		{"six.service.consul.", dns.TypeAAAA, `NOERROR aa rd ra
answer six.example.com. 60 IN AAAA 2001:db8::6
answer six.service.consul. 0 IN CNAME six.example.com.`},
		{"broken.service.consul.", dns.TypeA, `NOERROR aa rd ra
answer broken.service.consul. 0 IN CNAME broken.example.com.`},
		{"far.node.consul.", dns.TypeA, `NOERROR aa rd ra
answer far.example.org. 60 IN A 192.0.2.9
answer far.node.consul. 0 IN CNAME far.example.org.`},
		// What is ours is answered from here, whatever others say of it.
		{"back.service.consul.", dns.TypeA, `NOERROR aa rd ra
answer Web.Service.Consul. 0 IN A 10.0.0.1
answer b.example.com. 30 IN CNAME Web.Service.Consul.
answer back.example.com. 30 IN CNAME b.example.com.
answer back.service.consul. 0 IN CNAME back.example.com.`},
		{"back.service.consul.", dns.TypeAAAA, `NOERROR aa rd ra
answer b.example.com. 30 IN CNAME Web.Service.Consul.
answer back.example.com. 30 IN CNAME b.example.com.
answer back.service.consul. 0 IN CNAME back.example.com.
authority Consul. 0 IN SOA ns.Consul. hostmaster.Consul. 7 3600 600 86400 0`},
		{"lost.service.consul.", dns.TypeA, `NXDOMAIN aa rd ra
answer lost.example.com. 30 IN CNAME lost.node.consul.
answer lost.service.consul. 0 IN CNAME lost.example.com.
authority consul. 0 IN SOA ns.consul. hostmaster.consul. 7 3600 600 86400 0`},
		{"again.service.consul.", dns.TypeA, `NOERROR aa rd ra
answer again.example.com. 30 IN CNAME www.service.consul.
answer again.service.consul. 0 IN CNAME again.example.com.
answer www.example.com. 60 IN A 192.0.2.1
answer www.example.com. 60 IN A 192.0.2.2
answer www.service.consul. 0 IN CNAME www.example.com.`},
		{"circle.service.consul.", dns.TypeA, `NOERROR aa rd ra
answer circle.example.com. 30 IN CNAME circle.service.consul.
answer circle.service.consul. 0 IN CNAME circle.example.com.`},
		{"thrice.service.consul.", dns.TypeA, `NOERROR aa rd ra
answer again.example.com. 30 IN CNAME www.service.consul.
answer again.service.consul. 0 IN CNAME again.example.com.
answer thrice.example.com. 30 IN CNAME again.service.consul.
answer thrice.service.consul. 0 IN CNAME thrice.example.com.
answer www.service.consul. 0 IN CNAME www.example.com.`},
		{"8.8.8.8.in-addr.arpa.", dns.TypePTR, `NOERROR rd ra
answer 8.8.8.8.in-addr.arpa. 60 IN PTR dns.example.`},
		{"1.0.0.10.in-addr.arpa.", dns.TypePTR, `NOERROR aa rd ra
answer 1.0.0.10.in-addr.arpa. 0 IN PTR host.node.dc1.consul.`},
		{"2.0.0.10.in-addr.arpa.", dns.TypePTR, `NXDOMAIN rd ra`},
	} {
		for _, a := range d.Addresses() {
			if got := show(exchange(t, a.Network, a.Address, question(c.name, c.qtype))); got != c.want {
				t.Errorf("%s %s, %s: got\n%s\nwant\n%s", c.name, dns.TypeToString[c.qtype], a.Network, got, c.want)
			}
		}
	}

	udp, tcp := d.Addresses()[0].Address, d.Addresses()[1].Address
	m := question("www.service.consul", dns.TypeA)
	m.RecursionDesired = false
	if reply := exchange(t, "udp", udp, m); len(reply.Answer) != 1 || !reply.RecursionAvailable {
		t.Errorf("without RD: %v", reply)
	}
	m = question("2.0.0.10.in-addr.arpa.", dns.TypePTR)
	m.RecursionDesired = false
	if reply := exchange(t, "udp", udp, m); reply.Rcode != dns.RcodeNameError || len(reply.Ns) != 1 || !reply.Authoritative {
		t.Errorf("PTR without RD: %v", reply)
	}
	// An extended error says that the recursors failed; what does not fit is left out, and TC says so.
	m = question("broken.service.consul", dns.TypeA)
	m.SetEdns0(1232, false)
	reply := exchange(t, "udp", udp, m)
	if opt := reply.IsEdns0(); len(reply.Answer) != 1 || opt == nil || len(opt.Option) != 1 || opt.Option[0].Option() != dns.EDNS0EDE {
		t.Errorf("recursors that fail: %v", reply)
	}
	m = question("many.service.consul", dns.TypeA)
	for _, size := range []uint16{0, 512, 1232} {
		if m.Extra = nil; size > 0 {
			m.SetEdns0(size, false)
		}
		reply := exchange(t, "udp", udp, m)
		reply.Compress = true // as it came
		if n := reply.Len(); !reply.Truncated || len(reply.Answer) < 10 || n > int(max(size, 512)) {
			t.Errorf("%d bytes of %d, with %d records, truncated: %v", n, size, len(reply.Answer), reply.Truncated)
		}
	}
	if reply := exchange(t, "tcp", tcp, m); reply.Truncated || len(reply.Answer) != 101 {
		t.Errorf("over TCP %d records, truncated: %v", len(reply.Answer), reply.Truncated)
	}
}

// TestAliasThatLeadsBack: a recursor that asks here again is not asked without end.
func TestAliasThatLeadsBack(t *testing.T) {
	var recs records
	recs.node("host", "10.0.0.1")
	recs.instance("host", "round", "round", 80).Address = "round.example.com"
	var here atomic.Value
	world := serverWith(t, func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(r)
		m.RecursionAvailable = true
		m.Answer = []dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: "round.service.consul."}}
		again, _, err := new(dns.Client).Exchange(question("round.service.consul.", r.Question[0].Qtype), here.Load().(string))
		if err != nil {
			m.Rcode = dns.RcodeServerFailure
		} else {
			m.Answer = append(m.Answer, again.Answer...)
		}
		if r.IsEdns0() != nil {
			m.SetEdns0(1232, false)
		}
		_ = w.WriteMsg(m) // the client may have gone
	})
	d := openDoor(t, testHost(recs.catalog(t)), func(c *Config) { c.Recursors, c.RecursorTimeout = []string{world}, 200*time.Millisecond })
	here.Store(d.Addresses()[0].Address)
	run(t, d)
	reply := exchange(t, "udp", d.Addresses()[0].Address, question("round.service.consul.", dns.TypeA))
	if !slices.ContainsFunc(reply.Answer, func(rr dns.RR) bool { return rr.Header().Name == "round.service.consul." }) {
		t.Errorf("%v", reply)
	}
}

// anyChain is what recursors may say of a name: aliases, each to the next, some of which lead to names of ours, and
// addresses of the last.
func anyChain(rt *rapid.T) []recursor.Record {
	label := rapid.StringMatching(`[a-z]{1,63}`)
	outside := rapid.Custom(func(rt *rapid.T) []byte {
		var name []byte
		for range rapid.IntRange(1, 3).Draw(rt, "labels") {
			name = appendLabel(name, label.Draw(rt, "label"))
		}
		return append(name, "\x04test\x00"...)
	})
	ours := rapid.SampledFrom([][]byte{[]byte("\x03web\x07service\x06consul\x00"), []byte("\x04lost\x04node\x06CONSUL\x00"), []byte("\x03ext\x07service\x06consul\x00")})
	var records []recursor.Record
	name := []byte("\x03ext\x04test\x00")
	for range rapid.IntRange(0, 15).Draw(rt, "aliases") {
		next := outside.Draw(rt, "name")
		if rapid.IntRange(0, 9).Draw(rt, "back") == 0 {
			next = ours.Draw(rt, "name of ours")
		}
		records = append(records, recursor.Record{Name: name, Type: dns.TypeCNAME, TTL: 60, Data: next})
		name = next
	}
	for i := range rapid.IntRange(0, 300).Draw(rt, "addresses") {
		records = append(records, recursor.Record{Name: name, Type: dns.TypeA, TTL: 60, Data: []byte{192, 0, byte(i >> 8), byte(i)}})
	}
	return records
}

// TestWhatRecursorsSayFollows: whatever they say, it follows in its order, as far as it fits and as it is not about names of ours.
func TestWhatRecursorsSayFollows(t *testing.T) {
	var recs records
	recs.node("host", "10.0.0.1")
	recs.instance("host", "web", "web", 80)
	recs.instance("host", "ext", "ext", 80).Address = "ext.test"
	h := &handler{catalog: recs.catalog(t), random: seeded(1), responder: testResponder(t, func(c *Config) { c.Recursors = []string{"192.0.2.1"} })}
	rapid.Check(t, func(rt *rapid.T) {
		stream := rapid.Bool().Draw(rt, "stream")
		m := question("ext.service.consul", dns.TypeA)
		limit := dns.MinMsgSize
		if rapid.Bool().Draw(rt, "edns") {
			m.SetEdns0(uint16(rapid.IntRange(0, 5000).Draw(rt, "size")), false)
			limit = max(limit, min(int(m.IsEdns0().UDPSize()), h.sizing.udp))
		}
		if stream {
			limit = maxMessage
		}
		q, _ := readQuery(m, stream)
		a := h.respond(nil, h.catalog.Index(), q, h.random)
		if a.pending == nil {
			rt.Fatal("nothing to follow")
		}
		given := anyChain(rt)
		a = h.followed(a, given, dns.RcodeSuccess)
		var reply dns.Msg
		if err := reply.Unpack(a.wire); err != nil {
			rt.Fatalf("%x: %v", a.wire, err)
		}

		want := []string{"ext.service.consul. CNAME ext.test."}
		back := ""
		for _, r := range given {
			rr, _, err := dns.UnpackRRWithHeader(dns.RR_Header{Rrtype: r.Type, Class: dns.ClassINET, Rdlength: uint16(len(r.Data))}, r.Data, 0)
			if err != nil {
				rt.Fatal(err)
			}
			name, _, _ := dns.UnpackDomainName(r.Name, 0)
			want = append(want, said(name, rr))
			if c, ok := rr.(*dns.CNAME); ok && strings.HasSuffix(strings.ToLower(c.Target), ".consul.") {
				back = c.Target
				break
			}
		}
		if strings.HasPrefix(back, "web.") {
			want = append(want, "web.service.consul. A 10.0.0.1")
		}
		rcode := dns.RcodeSuccess
		if strings.HasPrefix(back, "lost.") && len(reply.Answer) == len(want) {
			rcode = dns.RcodeNameError
		}
		var got []string
		for _, rr := range reply.Answer {
			got = append(got, said(rr.Header().Name, rr))
		}
		switch {
		case len(a.wire) > limit:
			rt.Fatalf("%d bytes of %d", len(a.wire), limit)
		case !reply.Truncated && len(got) != len(want):
			rt.Fatalf("got %q, want %q", got, want)
		case reply.Truncated && stream:
			rt.Fatal("truncated over TCP")
		case len(got) > len(want) || !slices.Equal(got, want[:len(got)]):
			rt.Fatalf("got %q, want %q", got, want)
		case reply.Rcode != rcode:
			rt.Fatalf("rcode %d, want %d; %q", reply.Rcode, rcode, back)
		case a.pending != nil:
			rt.Fatalf("to be followed further: %q", got)
		}
	})
}

// said is a record without its TTL.
func said(name string, rr dns.RR) string {
	return name + " " + dns.TypeToString[rr.Header().Rrtype] + " " + strings.TrimSpace(strings.TrimPrefix(rr.String(), rr.Header().String()))
}
