package dnsserver

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"herald/registry"
	prepared "herald/registry/query"
	"herald/registry/storetest"

	"github.com/miekg/dns"
)

const queryID = "8f246b77-f3e1-ff88-5b48-8ec93abf3e05"

// definitions keeps prepared queries in a store, as whoever defines them does.
func definitions(t *testing.T, list ...prepared.Definition) queries {
	t.Helper()
	s := storetest.NewMemory(t)
	for _, d := range list {
		if err := prepared.Create(context.Background(), s, d, 0); err != nil {
			t.Fatal(err)
		}
	}
	return storedQueries(s)
}

func TestPreparedQueries(t *testing.T) {
	var recs records
	for i, node := range []string{"n0", "n1", "n2"} {
		recs.node(node, netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}).String())
		recs.instance(node, "web", "web", 80+i).Tags = []string{"v" + string(rune('0'+i))}
	}
	recs.check("n2", "web", registry.Critical)
	x := recs.index(t)
	r := testResponder(t, nil)
	r.queries = definitions(t,
		prepared.Definition{ID: queryID, Name: "all", Service: prepared.Service{Service: "web"}, DNS: prepared.DNS{TTL: "30s"}},
		prepared.Definition{ID: "8f246b77-f3e1-ff88-5b48-8ec93abf3e06", Name: "dotted.name", Service: prepared.Service{Service: "web", Tags: []string{"!v0"}}},
		prepared.Definition{ID: "8f246b77-f3e1-ff88-5b48-8ec93abf3e07", Name: "none", Service: prepared.Service{Service: "nosuch"}},
		prepared.Definition{ID: "8f246b77-f3e1-ff88-5b48-8ec93abf3e08", Name: "near", Service: prepared.Service{Service: "web", Near: "_ip"}},
		prepared.Definition{ID: "8f246b77-f3e1-ff88-5b48-8ec93abf3e09", Name: "geo-", Service: prepared.Service{Service: "${name.suffix}"},
			Template: prepared.Template{Type: "name_prefix_match"}},
	)
	const soa = "\nauthority consul. 0 IN SOA ns.consul. hostmaster.consul. 7 3600 600 86400 0"
	for _, test := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"all.query.consul", dns.TypeA, "NOERROR aa rd\nanswer all.query.consul. 30 IN A 10.0.0.1\nanswer all.query.consul. 30 IN A 10.0.0.2"},
		{"ALL.query.dc1.consul", dns.TypeA, "NOERROR aa rd\nanswer ALL.query.dc1.consul. 30 IN A 10.0.0.1\nanswer ALL.query.dc1.consul. 30 IN A 10.0.0.2"},
		{queryID + ".query.consul", dns.TypeA, "NOERROR aa rd\nanswer " + queryID + ".query.consul. 30 IN A 10.0.0.1\nanswer " + queryID + ".query.consul. 30 IN A 10.0.0.2"},
		{"_dotted._any.query.consul", dns.TypeA, "NXDOMAIN aa rd" + soa},
		{"dotted.name.query.consul", dns.TypeSRV, "NOERROR aa rd\nanswer dotted.name.query.consul. 0 IN SRV 1 1 81 n1.node.dc1.consul.\nadditional n1.node.dc1.consul. 0 IN A 10.0.0.2"},
		{"_all._any.query.consul", dns.TypeAAAA, "NOERROR aa rd" + soa},
		{"geo-web.query.consul", dns.TypeA, "NOERROR aa rd\nanswer geo-web.query.consul. 0 IN A 10.0.0.1\nanswer geo-web.query.consul. 0 IN A 10.0.0.2"},
		{"8f246b77-f3e1-ff88-5b48-8ec93abf3e09.query.consul", dns.TypeA, "NXDOMAIN aa rd" + soa},
		{"none.query.consul", dns.TypeA, "NXDOMAIN aa rd" + soa},
		{"nosuch.query.consul", dns.TypeA, "NXDOMAIN aa rd" + soa},
		{"query.consul", dns.TypeA, "NOERROR aa rd" + soa},
	} {
		reply, _ := ask(t, r, x, question(test.name, test.qtype), false, seeded(1))
		if got := show(reply); got != test.want {
			t.Errorf("%s %s:\n%s\nwant\n%s", test.name, dns.TypeToString[test.qtype], got, test.want)
		}
	}

	// The glue of an answer with a TTL of its own has that, too.
	reply, _ := ask(t, r, x, question("all.query.consul", dns.TypeSRV), false, seeded(1))
	for _, rr := range append(reply.Answer, reply.Extra...) {
		if rr.Header().Ttl != 30 {
			t.Errorf("%v", rr)
		}
	}

	// The instance on the node that asks comes first.
	for client, want := range map[string]string{"10.0.0.2": "10.0.0.2", "127.0.0.1": "10.0.0.1"} {
		for seed := range uint64(20) {
			q, _ := readQuery(question("near.query.consul", dns.TypeA), false)
			q.client = netip.MustParseAddr(client)
			var reply dns.Msg
			if err := reply.Unpack(r.respond(nil, x, q, seeded(seed)).wire); err != nil {
				t.Fatal(err)
			}
			if got := addressOf(reply.Answer[0]); got != want {
				t.Errorf("asked from %s, %s comes first", client, got)
			}
		}
	}

	// Who the answer is for is the client's subnet.
	m := question("all.query.consul", dns.TypeA)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}}}
	reply, _ = ask(t, r, x, m, false, seeded(1))
	if o := reply.IsEdns0().Option; len(o) != 1 || o[0].(*dns.EDNS0_SUBNET).SourceScope != 24 {
		t.Errorf("the option is %v", o)
	}

	r.queries = func(string) (*prepared.Stored, error) { return nil, errors.New("it does not answer") }
	if reply, _ := ask(t, r, x, question("all.query.consul", dns.TypeA), false, seeded(1)); show(reply) != "SERVFAIL rd" {
		t.Errorf("where queries cannot be read: %s", show(reply))
	}
	r.queries = nil
	if reply, _ := ask(t, r, x, question("all.query.consul", dns.TypeA), false, seeded(1)); show(reply) != "NXDOMAIN aa rd"+soa {
		t.Errorf("where there are none: %s", show(reply))
	}
}
