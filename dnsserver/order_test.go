package dnsserver

import (
	"testing"

	"github.com/miekg/dns"
)

// TestOrderIsFair: every instance comes first as often as any other, and every
// order of three is as likely.
func TestOrderIsFair(t *testing.T) {
	var recs records
	recs.fleet("web", 10)
	recs.fleet("abc", 3)
	x := recs.index(t)
	r := testResponder(t, nil)
	random := seeded(42)
	const rounds = 5000
	first, orders := map[string]int{}, map[string]int{}
	for range rounds {
		reply, _ := ask(t, r, x, question("web.service.consul", dns.TypeA), false, random)
		first[reply.Answer[0].(*dns.A).A.String()]++
		reply, _ = ask(t, r, x, question("abc.service.consul", dns.TypeSRV), false, random)
		var order string
		for _, rr := range reply.Answer {
			order += rr.(*dns.SRV).Target[5:6]
		}
		orders[order]++
	}
	// 5 standard deviations of a binomial count; the seed makes it repeatable.
	near := func(what string, counts map[string]int, of int) {
		if len(counts) != of {
			t.Errorf("%s: %d outcomes, want %d", what, len(counts), of)
		}
		mean := float64(rounds) / float64(of)
		for k, n := range counts {
			if d := float64(n) - mean; d*d > 25*mean {
				t.Errorf("%s: %s %d times, want about %.0f", what, k, n, mean)
			}
		}
	}
	near("first of ten", first, 10)
	near("order of three", orders, 6)
}

func TestSameRandomSameBytes(t *testing.T) {
	var recs records
	recs.fleet("web", 50)
	for i := range recs.nodes {
		recs.nodes[i].Meta = map[string]string{"a": "1", "b": "2", "c": "3"}
	}
	x := recs.index(t)
	r := testResponder(t, nil)
	m := question("web.service.consul", dns.TypeSRV)
	m.SetEdns0(4096, false)
	q, _ := readQuery(m, false)
	a := r.respond(nil, x, q, seeded(9))
	for range 10 {
		if b := r.respond(nil, x, q, seeded(9)); string(a.wire) != string(b.wire) {
			t.Fatalf("the same query is answered\n%x\nand\n%x", a.wire, b.wire)
		}
	}
	if b := r.respond(nil, x, q, seeded(10)); string(a.wire) == string(b.wire) {
		t.Error("another order is the same order")
	}
}
