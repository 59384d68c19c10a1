package dnsserver

import (
	"fmt"
	"strings"
	"testing"

	"herald/registry/catalog"

	"github.com/miekg/dns"
)

var allSizes = []struct {
	name   string
	edns   uint16
	stream bool
	limit  int
}{
	{"no edns", 0, false, 512},
	{"edns 100", 100, false, 512},
	{"edns 512", 512, false, 512},
	{"edns 1232", 1232, false, 1232},
	{"edns 4096", 4096, false, 4096},
	{"edns 65535", 65535, false, 4096},
	{"tcp", 0, true, 65535},
	{"tcp edns 512", 512, true, 65535},
}

// TestSizes asks for services of 1 to 5,000 instances, in every size: an answer is
// never over the size, never empty, has TC if and only if something was left out,
// and each SRV record has its address beside it.
func TestSizes(t *testing.T) {
	counts := []int{1, 2, 3, 7, 8, 9, 28, 29, 30, 40, 100, 500, 1000, 5000}
	if testing.Short() {
		counts = []int{1, 8, 30, 500}
	}
	r := testResponder(t, nil)
	for _, n := range counts {
		var recs records
		recs.fleet("web", n)
		x := recs.index(t)
		for _, size := range allSizes {
			for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypeANY} {
				t.Run(fmt.Sprintf("%d/%s/%s", n, size.name, dns.TypeToString[qtype]), func(t *testing.T) {
					m := question("web.service.consul", qtype)
					if size.edns > 0 {
						m.SetEdns0(size.edns, false)
					}
					reply, length := ask(t, r, x, m, size.stream, seeded(1))
					limit := size.limit
					if qtype == dns.TypeANY && !size.stream {
						limit = 512 // RFC 8482
					}
					checkCut(t, reply, length, limit, n, 120)
					if got := reply.IsEdns0() != nil; got != (size.edns > 0) {
						t.Errorf("has an OPT record: %v", got)
					}
				})
			}
		}
	}
}

// checkCut checks the answer of a service of n instances that differ, whose records
// have at most so many bytes with their addresses.
func checkCut(t *testing.T, reply *dns.Msg, length, limit, n, largest int) {
	t.Helper()
	if length > limit {
		t.Errorf("%d bytes, of %d", length, limit)
	}
	if len(reply.Answer) == 0 {
		t.Error("the answer is empty")
	}
	if cut := len(reply.Answer) < n; cut != reply.Truncated {
		t.Errorf("%d records of %d, TC %v", len(reply.Answer), n, reply.Truncated)
	}
	glue := map[string]bool{}
	for _, rr := range reply.Extra {
		if a, ok := rr.(*dns.A); ok {
			if glue[a.Hdr.Name] {
				t.Errorf("%s is added twice", a.Hdr.Name)
			}
			glue[a.Hdr.Name] = true
		}
	}
	seen := map[string]bool{}
	for _, rr := range reply.Answer {
		if seen[rr.String()] {
			t.Errorf("%s is answered twice", rr)
		}
		seen[rr.String()] = true
		if srv, ok := rr.(*dns.SRV); ok {
			if !glue[srv.Target] {
				t.Errorf("%s has no address", srv.Target)
			}
			delete(glue, srv.Target)
		}
	}
	if len(glue) > 0 {
		t.Errorf("%v belong to no record", glue)
	}
	// A cut answer is as full as it can be: one more record of the largest here
	// would not fit.
	if reply.Truncated && length < limit-largest {
		t.Errorf("cut at %d bytes of %d", length, limit)
	}
}

// TestLongestNames asks with a name of the greatest length for targets of nearly the
// greatest length: in 512 bytes there is room for one record, without its address.
func TestLongestNames(t *testing.T) {
	var recs records
	label := strings.Repeat("n", 63)
	service := strings.Repeat("s", 63)
	tag := strings.Repeat("t", 63) + "." + strings.Repeat("t", 63) + "." + strings.Repeat("t", 46)
	for i := range 4 {
		node := fmt.Sprintf("%d%s.%s.%s", i, label[1:], label, label)
		recs.node(node, fmt.Sprintf("10.0.0.%d", i+1))
		recs.instance(node, service, "a", 80).Tags = []string{tag}
	}
	x := recs.index(t)
	r := testResponder(t, nil)
	for _, size := range allSizes {
		m := question(tag+"."+service+".service.consul", dns.TypeSRV)
		if size.edns > 0 {
			m.SetEdns0(size.edns, false)
		}
		reply, length := ask(t, r, x, m, size.stream, seeded(3))
		if size.limit > 512 {
			checkCut(t, reply, length, size.limit, 4, 250)
			continue
		}
		if len(reply.Answer) != 1 || !reply.Truncated || length > 512 {
			t.Errorf("%s: %d records in %d bytes, TC %v", size.name, len(reply.Answer), length, reply.Truncated)
		}
		if opt := reply.IsEdns0(); len(reply.Extra) > 1 || len(reply.Extra) == 1 && opt == nil {
			t.Errorf("%s: an address beside it: %v", size.name, reply.Extra)
		}
	}

	// A record that no room can be made for does not keep the others out.
	recs.node("short", "10.0.0.9")
	recs.instance("short", service, "b", 81).Tags = []string{tag}
	recs.nodes = recs.nodes[4:]
	long := label + "." + label + "." + label + "." + strings.Repeat("n", 40)
	recs.node(long, "10.0.0.10")
	recs.instances = recs.instances[4:]
	recs.instance(long, service, "c", 82).Tags = []string{tag}
	x = recs.index(t)
	for seed := range uint64(8) {
		reply, _ := ask(t, r, x, question(tag+"."+service+".service.consul", dns.TypeSRV), false, seeded(seed))
		if len(reply.Answer) != 1 || !reply.Truncated || reply.Answer[0].(*dns.SRV).Port != 81 {
			t.Errorf("order %d: %v", seed, reply)
		}
	}
}

// TestLongTexts: metadata of any length is answered, and makes nothing else fail.
func TestLongTexts(t *testing.T) {
	var recs records
	text := strings.Repeat("m", 600)
	recs.node("n0", "10.0.0.1").Meta = map[string]string{"long": text, "short": "s", "huge": strings.Repeat("h", 1<<16)}
	recs.instance("n0", "web", "web", 80)
	x := recs.index(t)
	r := testResponder(t, nil)

	// The text that no record can hold is missing, and that is said.
	reply, _ := ask(t, r, x, question("n0.node.consul", dns.TypeTXT), true, seeded(1))
	var got []string
	for _, rr := range reply.Answer {
		got = append(got, strings.Join(rr.(*dns.TXT).Txt, ""))
	}
	if len(got) != 2 || got[0] != "long="+text || got[1] != "short=s" || !reply.Truncated {
		t.Errorf("over TCP: %d texts, TC %v", len(got), reply.Truncated)
	}
	reply, length := ask(t, r, x, question("n0.node.consul", dns.TypeTXT), false, seeded(1))
	if len(reply.Answer) != 1 || !reply.Truncated || length > 512 {
		t.Errorf("in 512 bytes: %v", reply)
	}
	for _, m := range []*dns.Msg{question("n0.node.consul", dns.TypeA), question("web.service.consul", dns.TypeSRV)} {
		reply, _ = ask(t, r, x, m, false, seeded(1))
		if len(reply.Answer) != 1 || reply.Truncated {
			t.Errorf("%v", reply)
		}
	}
}

// TestMetadataIsACourtesy: it goes where there is room, and its absence is no
// truncation.
func TestMetadataIsACourtesy(t *testing.T) {
	var recs records
	recs.fleet("web", 6)
	for i := range recs.nodes {
		recs.nodes[i].Meta = map[string]string{"rack": strings.Repeat("r", 50)}
	}
	x := recs.index(t)
	r := testResponder(t, nil)
	texts := func(reply *dns.Msg) (n int) {
		for _, rr := range reply.Extra {
			if _, ok := rr.(*dns.TXT); ok {
				n++
			}
		}
		return n
	}
	reply, length := ask(t, r, x, question("web.service.consul", dns.TypeSRV), false, seeded(1))
	checkCut(t, reply, length, 512, 6, 120)
	if n := texts(reply); n == 0 || n == 6 {
		t.Errorf("%d texts in 512 bytes", n)
	}
	reply, _ = ask(t, r, x, question("web.service.consul", dns.TypeSRV), true, seeded(1))
	if n := texts(reply); n != 6 {
		t.Errorf("%d texts over TCP", n)
	}
	r = testResponder(t, func(c *Config) { c.NodeMetaTXT = false })
	reply, _ = ask(t, r, x, question("web.service.consul", dns.TypeSRV), true, seeded(1))
	if n := texts(reply); n != 0 {
		t.Errorf("%d texts though they are switched off", n)
	}
}

func TestAnswerLimit(t *testing.T) {
	var recs records
	recs.fleet("web", 8)
	recs.fleet("few", 3)
	// A second instance that makes no record of its own is not left out.
	recs.instance("few-n0", "few", "again", 8000)
	x := recs.index(t)
	limited := testResponder(t, func(c *Config) { c.UDPAnswerLimit = 3 })
	unmarked := testResponder(t, func(c *Config) { c.UDPAnswerLimit, c.EnableTruncate = 3, false })
	for _, test := range []struct {
		name      string
		r         *responder
		edns      uint16
		stream    bool
		answers   int
		truncated bool
	}{
		{"web", limited, 0, false, 3, true},
		{"web", limited, 512, false, 3, true},
		{"web", limited, 1232, false, 8, false},
		{"web", limited, 0, true, 8, false},
		{"web", unmarked, 0, false, 3, false},
		{"few", limited, 0, false, 3, false},
	} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV} {
			m := question(test.name+".service.consul", qtype)
			if test.edns > 0 {
				m.SetEdns0(test.edns, false)
			}
			reply, _ := ask(t, test.r, x, m, test.stream, seeded(1))
			if len(reply.Answer) != test.answers || reply.Truncated != test.truncated {
				t.Errorf("%+v %s: %d answers, TC %v", test, dns.TypeToString[qtype], len(reply.Answer), reply.Truncated)
			}
		}
	}
}

// TestFarNames reads a TCP answer that is longer than compression pointers reach.
func TestFarNames(t *testing.T) {
	var recs records
	recs.fleet("web", 1000)
	reply, length := ask(t, testResponder(t, nil), recs.index(t), question("web.service.consul", dns.TypeSRV), true, seeded(1))
	if length <= 2*maxPointer {
		t.Fatalf("only %d bytes", length)
	}
	want := map[string]string{}
	for _, n := range recs.nodes {
		want[n.Name+".node.dc1.consul."] = n.Address
	}
	for _, rr := range reply.Extra {
		if a := rr.(*dns.A); want[a.Hdr.Name] != a.A.String() {
			t.Errorf("%s is %s, want %s", a.Hdr.Name, a.A, want[a.Hdr.Name])
		}
	}
}

// TestBeforeTheCatalogIsRead: no name is denied before the names are known.
func TestBeforeTheCatalogIsRead(t *testing.T) {
	x := catalog.New().Index()
	r := testResponder(t, nil)
	for name, want := range map[string]int{
		"web.service.consul": dns.RcodeServerFailure,
		"n0.node.consul":     dns.RcodeServerFailure,
		"example.com":        dns.RcodeRefused,
	} {
		reply, _ := ask(t, r, x, question(name, dns.TypeA), false, seeded(1))
		if reply.Rcode != want || len(reply.Ns) > 0 {
			t.Errorf("%s: %s with %d records of authority", name, dns.RcodeToString[reply.Rcode], len(reply.Ns))
		}
	}
}

// TestNodeNameThatDNSCannotSpell: its instances are found all the same.
func TestNodeNameThatDNSCannotSpell(t *testing.T) {
	var recs records
	name := strings.Repeat("x", 64)
	recs.node(name, "10.0.0.1")
	recs.instance(name, "web", "a", 80)
	recs.instance(name, "consul", "consul", 8300)
	x := recs.index(t)
	r := testResponder(t, nil)
	reply, _ := ask(t, r, x, question("web.service.consul", dns.TypeSRV), false, seeded(1))
	if len(reply.Answer) != 1 || reply.Answer[0].(*dns.SRV).Target != "0a000001.addr.dc1.consul." {
		t.Errorf("%v", reply)
	}
	for _, q := range []*dns.Msg{question("1.0.0.10.in-addr.arpa", dns.TypePTR), question("consul", dns.TypeNS)} {
		reply, _ = ask(t, r, x, q, false, seeded(1))
		if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) > 0 || len(reply.Ns) != 1 || len(reply.Extra) > 0 {
			t.Errorf("%v", reply)
		}
	}
}
