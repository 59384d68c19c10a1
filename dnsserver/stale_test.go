package dnsserver

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestStale(t *testing.T) {
	var recs records
	recs.fleet("web", 1)
	x := recs.index(t)
	bounded := func(c *Config) { c.MaxStale = 30 * time.Second }
	both := func(c *Config) { c.MaxStale, c.StaleErrorAfter = 30*time.Second, 10*time.Second }
	for _, test := range []struct {
		name   string
		change func(*Config)
		age    time.Duration
		edns   bool
		rcode  int
		extra  string // of the extended error
		code   uint16
	}{
		{"by default any age is well", nil, 1000 * time.Hour, true, dns.RcodeSuccess, "", 0},
		{"also an unknown one", nil, maxAge, true, dns.RcodeSuccess, "", 0},
		{"within the bound", bounded, 30 * time.Second, true, dns.RcodeSuccess, "", 0},
		{"over it", bounded, 31 * time.Second, true, dns.RcodeServerFailure, "", 0},
		{"unknown is over it", bounded, maxAge, false, dns.RcodeServerFailure, "", 0},
		{"not yet worth saying", both, 10 * time.Second, true, dns.RcodeSuccess, "", 0},
		{"said", both, 12500 * time.Millisecond, true, dns.RcodeSuccess, "age 12s", dns.ExtendedErrorCodeStaleAnswer},
		{"said without EDNS", both, 12 * time.Second, false, dns.RcodeSuccess, "", 0},
		{"over it, and said", both, 31 * time.Second, true, dns.RcodeServerFailure, "catalog too old: 31s", dns.ExtendedErrorCodeNoReachableAuthority},
		{"unknown, and said", both, maxAge, true, dns.RcodeServerFailure, "catalog too old: unknown", dns.ExtendedErrorCodeNoReachableAuthority},
	} {
		r := testResponder(t, test.change)
		m := question("web.service.consul", dns.TypeA)
		if test.edns {
			m.SetEdns0(1232, false)
		}
		q, _ := readQuery(m, false)
		q.age = test.age
		a := r.respond(nil, x, q, seeded(1))
		var reply dns.Msg
		if err := reply.Unpack(a.wire); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if reply.Rcode != test.rcode || (len(reply.Answer) == 1) != (test.rcode == dns.RcodeSuccess) || len(reply.Ns) > 0 {
			t.Errorf("%s: %v", test.name, &reply)
		}
		var got dns.EDNS0_EDE
		if opt := reply.IsEdns0(); opt != nil {
			for _, o := range opt.Option {
				if e, ok := o.(*dns.EDNS0_EDE); ok {
					got = *e
				}
			}
		}
		if got.ExtraText != test.extra || got.InfoCode != test.code {
			t.Errorf("%s: the extended error is %d %q", test.name, got.InfoCode, got.ExtraText)
		}
	}
}
