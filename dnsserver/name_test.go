package dnsserver

import (
	"bytes"
	"strings"
	"testing"
)

func (k kind) String() string {
	return [...]string{"outside", "absent", "hollow", "apex", "servers", "service", "node", "address", "reverse", "query"}[k]
}

func (found *lookup) String() string {
	s := found.kind.String()
	switch found.kind {
	case kindService:
		s += " " + string(found.name)
		if len(found.tag) > 0 {
			s += " tag " + string(found.tag)
		}
	case kindNode, kindQuery:
		s += " " + string(found.name)
	case kindAddress, kindReverse:
		s += " " + found.address.String()
	}
	return s
}

func parsed(r *responder, name []byte) *lookup {
	l := &lookup{}
	r.parse(l, name)
	return l
}

func TestParse(t *testing.T) {
	r := testResponder(t, func(c *Config) { c.AltDomains = []string{"inner.consul", "example.org."} })
	tests := []struct{ name, want string }{
		{"consul.", "apex"},
		{"CoNsUl.", "apex"},
		{"inner.consul.", "apex"},
		{"example.org.", "apex"},
		{".", "outside"},
		{"com.", "outside"},
		{"xconsul.", "outside"},
		{"consul.com.", "outside"},
		{"web.service.", "outside"},
		{"web.service.dc1.", "outside"},

		{"ns.consul.", "servers"},
		{"ns.dc1.consul.", "absent"},
		{"web.consul.", "absent"},
		{"web.kind.consul.", "absent"},

		// What others lie beneath exists.
		{"service.consul.", "hollow"},
		{"node.consul.", "hollow"},
		{"addr.consul.", "hollow"},
		{"dc.consul.", "hollow"},
		{"dc1.consul.", "hollow"},
		{"DC1.dc.consul.", "hollow"},
		{"service.dc1.consul.", "hollow"},
		{"node.dc1.dc.consul.", "hollow"},
		{"_tcp.consul.", "hollow"},
		{"_tcp.dc1.consul.", "hollow"},
		{"_tcp.service.consul.", "hollow"},
		{"_tcp.service.dc1.dc.consul.", "hollow"},
		{"dc9.consul.", "absent"},
		{"service.dc9.consul.", "absent"},

		{"web.service.consul.", "service web"},
		{"WEB.Service.CONSUL.", "service web"},
		{"web.service.dc1.consul.", "service web"},
		{"web.service.DC1.dc.consul.", "service web"},
		{"web.service.inner.consul.", "service web"},
		{"web.service.example.org.", "service web"},
		{"web.service.dc9.consul.", "absent"},
		{"web.service.dc9.dc.consul.", "absent"},
		{"web.service.dc.consul.", "absent"},
		{"web.service.dc1.dc1.consul.", "absent"},
		{"web.service.dc1.x.consul.", "absent"},
		{"web.dc1.service.consul.", "service dc1 tag web"},
		{"v1.web.service.consul.", "service web tag v1"},
		{"a.b.c.web.service.dc1.consul.", "service web tag a.b.c"},
		{"service.web.service.consul.", "service web tag service"},
		{`a\.b.service.consul.`, "absent"},
		{`x.a\.b.node.consul.`, "absent"},
		{`\000\255.service.consul.`, "service \x00\xff"},

		{"_web._tcp.service.consul.", "service web"},
		{"_web._TCP.service.dc1.consul.", "service web"},
		{"_web._udp.service.consul.", "service web tag udp"},
		{"_web._v1.service.dc1.dc.consul.", "service web tag v1"},
		{"_web._tcp.consul.", "service web"},
		{"_web._v1.consul.", "service web tag v1"},
		{"_web._tcp.dc1.consul.", "service web"},
		{"_web._tcp.dc1.dc.consul.", "service web"},
		{"_web._tcp.dc9.consul.", "absent"},
		{"_._tcp.service.consul.", "service _tcp tag _"},
		{"_.service.consul.", "service _"},
		{"_web.service.consul.", "service _web"},
		{"web._tcp.service.consul.", "service _tcp tag web"},
		{"_x._web._tcp.service.consul.", "service _tcp tag _x._web"},
		{"_x._web._tcp.consul.", "absent"},

		{"n1.node.consul.", "node n1"},
		{"N1.node.dc1.consul.", "node n1"},
		{"a.b.c.node.consul.", "node a.b.c"},
		{"n1.node.dc9.consul.", "absent"},

		{"0a190001.addr.consul.", "address 10.25.0.1"},
		{"0A190001.addr.dc1.consul.", "address 10.25.0.1"},
		{"20010db8000000000000000000000001.addr.dc1.dc.consul.", "address 2001:db8::1"},
		{"00000000000000000000ffff0a190001.addr.consul.", "address ::ffff:10.25.0.1"},
		{"0a19000.addr.consul.", "absent"},
		{"0a19000102.addr.consul.", "absent"},
		{"0a19000g.addr.consul.", "absent"},
		{"x.0a190001.addr.consul.", "absent"},

		{"query.consul.", "hollow"},
		{"near.query.consul.", "query near"},
		{"dotted.name.query.dc1.consul.", "query dotted.name"},
		{"_near._tcp.query.consul.", "query near"},
		{"_near._any.query.dc1.consul.", "query near"},
		{"_tcp.query.consul.", "hollow"},

		{"in-addr.arpa.", "apex"},
		{"IP6.ARPA.", "apex"},
		{"arpa.", "outside"},
		{"1.0.32.10.in-addr.arpa.", "reverse 10.32.0.1"},
		{"32.10.IN-ADDR.arpa.", "hollow"},
		{"x.1.0.32.10.in-addr.arpa.", "absent"},
		{"999.0.32.10.in-addr.arpa.", "absent"},
		{"256.in-addr.arpa.", "absent"},
		{"01.0.32.10.in-addr.arpa.", "absent"},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.3.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", "reverse 2001:db8:32::1"},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.3.0.0.8.B.D.0.1.0.0.2.ip6.arpa.", "reverse 2001:db8:32::1"},
		{"8.b.d.0.1.0.0.2.ip6.arpa.", "hollow"},
		{"g.b.d.0.1.0.0.2.ip6.arpa.", "absent"},
		{"bb.d.0.1.0.0.2.ip6.arpa.", "absent"},
		{"0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.3.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", "absent"},
	}
	for _, test := range tests {
		q, ok := readQuery(question(test.name, 1), false)
		if !ok {
			t.Errorf("%s is no name", test.name)
			continue
		}
		got := parsed(r, q.name)
		if got.String() != test.want {
			t.Errorf("%s is %s, want %s", test.name, got, test.want)
		}
		if got.zone != nil && !bytes.EqualFold(q.name[got.zoneAt:], got.zone.name) {
			t.Errorf("%s: its zone is at %d, where %q stands", test.name, got.zoneAt, q.name[got.zoneAt:])
		}
	}
}

func TestDatacenterThatIsAWord(t *testing.T) {
	c := DefaultConfig()
	r, err := newResponder(&c, "n0", "Service")
	if err != nil {
		t.Fatal(err)
	}
	name, ok := r.speller.node(nil, "n1", r.primary)
	if want := "\x02n1\x04node\x06consul\x00"; !ok || string(name) != want {
		t.Errorf("a node's name is %q, want %q without the datacenter", name, want)
	}
	if got := parsed(r, name).String(); got != "node n1" {
		t.Errorf("the name is then read as %s", got)
	}
}

func TestNamesReadWhatTheyWrite(t *testing.T) {
	r := testResponder(t, nil)
	long := strings.Repeat("n", 63)
	for _, name := range []string{"n1", "a.b.c", "with space", long, long + "." + long + "." + long} {
		wire, ok := r.speller.node(nil, name, r.primary)
		if !ok {
			t.Errorf("%q cannot be written", name)
			continue
		}
		if got := parsed(r, wire); got.kind != kindNode || string(got.name) != name {
			t.Errorf("%q is read back as %s", name, got)
		}
	}
	for _, name := range []string{"", ".", "a..b", ".a", long + "n", strings.Repeat(long+".", 3) + long} {
		if wire, ok := r.speller.node([]byte("kept"), name, r.primary); ok || string(wire) != "kept" {
			t.Errorf("%q is written as %q", name, wire)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"\x03web\x07service\x06consul\x00", "\x00", "\x03web", "\xc0\x0c", "\x01a\x00\x00", strings.Repeat("\x01a", 127) + "\x00"} {
		f.Add([]byte(name))
	}
	r := testResponder(f, nil)
	f.Fuzz(func(t *testing.T, name []byte) {
		l := parsed(r, name)
		if l.kind == kindOutside {
			return
		}
		// Whatever case the name was in, it means the same. (No length byte is a letter.)
		if other := parsed(r, upper(name)); other.String() != l.String() {
			t.Errorf("%q is %s, in upper case %s", name, l, other)
		}
		if !bytes.Equal(upper(name[l.zoneAt:]), upper(l.zone.name)) {
			t.Errorf("%q: the zone is not at %d", name, l.zoneAt)
		}
		if l.kind == kindService && (len(l.name) == 0 || bytes.ContainsRune(l.name, '.')) {
			t.Errorf("%q is of the service %q", name, l.name)
		}
	})
}

func upper(name []byte) []byte {
	b := bytes.Clone(name)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return b
}
