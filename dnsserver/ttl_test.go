package dnsserver

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestTTLs(t *testing.T) {
	list, err := newTTLs(7*time.Second, []string{"web=10s", "api-*=20s", "API-v2*=30s", " db = 0s", "api-v2-x=1m"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{
		"web": 10, "WEB": 10, "webs": 7, "api-": 20, "api-v1": 20, "api-v2": 30, "Api-V2-y": 30, "api-v2-x": 60, "api": 7, "db": 0, "": 7,
	} {
		if got := list.of(name); got != want {
			t.Errorf("%q: %d s, want %d s", name, got, want)
		}
	}
	every, err := newTTLs(0, []string{"*=5s", "web=1s"})
	if err != nil || every.of("any") != 5 || every.of("web") != 1 {
		t.Errorf("of any: %d s, of one: %d s, %v", every.of("any"), every.of("web"), err)
	}
	for _, bad := range []string{"web", "=5s", "web=", "web=5", "web=-1s", "web=1500ms", "w*b=5s", "web=69y"} {
		if _, err := newTTLs(0, []string{bad}); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestTTLsOfAnswers: a service's records have its own TTL, and what is a node's the node's.
func TestTTLsOfAnswers(t *testing.T) {
	var recs records
	recs.node("n0", "10.0.0.1").Meta = map[string]string{"a": "b"}
	recs.node("n1", "10.0.0.2")
	recs.instance("n0", "web", "web", 80)
	recs.instance("n0", "db", "db", 80).Address = "10.0.0.9"
	recs.instance("n1", "ext", "ext", 80).Address = "db.example.org"
	x := recs.index(t)
	r := testResponder(t, func(c *Config) {
		c.ServiceTTL, c.NodeTTL, c.NegativeTTL = 5*time.Second, 6*time.Second, time.Second
		c.ServiceTTLs, c.NodeTTLs = []string{"db=50s", "ext=70s"}, []string{"n0=60s"}
	})
	for _, test := range []struct {
		name  string
		qtype uint16
		want  map[uint16]uint32 // by type, in any section
	}{
		{"web.service.consul", dns.TypeA, map[uint16]uint32{dns.TypeA: 5}},
		{"web.service.consul", dns.TypeSRV, map[uint16]uint32{dns.TypeSRV: 5, dns.TypeA: 60, dns.TypeTXT: 60}},
		{"db.service.consul", dns.TypeSRV, map[uint16]uint32{dns.TypeSRV: 50, dns.TypeA: 50}},
		{"ext.service.consul", dns.TypeA, map[uint16]uint32{dns.TypeCNAME: 70}},
		{"n0.node.consul", dns.TypeA, map[uint16]uint32{dns.TypeA: 60}},
		{"n1.node.consul", dns.TypeA, map[uint16]uint32{dns.TypeA: 6}},
		{"1.0.0.10.in-addr.arpa", dns.TypePTR, map[uint16]uint32{dns.TypePTR: 60}},
		{"9.0.0.10.in-addr.arpa", dns.TypePTR, map[uint16]uint32{dns.TypePTR: 50}},
		{"web.service.consul", dns.TypeMX, map[uint16]uint32{dns.TypeSOA: 1}},
	} {
		reply, _ := ask(t, r, x, question(test.name, test.qtype), false, seeded(1))
		got := map[uint16]uint32{}
		for _, section := range [][]dns.RR{reply.Answer, reply.Ns, reply.Extra} {
			for _, rr := range section {
				got[rr.Header().Rrtype] = rr.Header().Ttl
			}
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: %v", test.name, reply)
		}
		for rtype, ttl := range test.want {
			if got[rtype] != ttl {
				t.Errorf("%s: the TTL of %s is %d, want %d", test.name, dns.TypeToString[rtype], got[rtype], ttl)
			}
		}
	}
}
