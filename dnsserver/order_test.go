package dnsserver

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"herald/registry"
	"herald/registry/catalog"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// near fails unless each of the outcomes came about as often as its share of the rounds: within 5 standard
// deviations of a binomial count. The seed of whoever counted makes it repeatable.
func near(t *testing.T, what string, rounds int, counts map[string]int, shares map[string]float64) {
	t.Helper()
	for k := range counts {
		if _, ok := shares[k]; !ok {
			t.Errorf("%s: %s came about, %d times", what, k, counts[k])
		}
	}
	for k, share := range shares {
		mean := float64(rounds) * share
		if d, most := math.Abs(float64(counts[k])-mean), 5*math.Sqrt(mean*(1-share)); d > most {
			t.Errorf("%s: %s %d times, want %.0f, %.0f more or less", what, k, counts[k], mean, most)
		}
	}
}

const orderRounds = 5000

// firsts asks again and again, and counts which record comes first.
func firsts(t *testing.T, r *responder, x *catalog.Index, name string, qtype uint16, key func(dns.RR) string) map[string]int {
	t.Helper()
	random, counts := seeded(42), map[string]int{}
	for range orderRounds {
		reply, _ := ask(t, r, x, question(name, qtype), false, random)
		counts[key(reply.Answer[0])]++
	}
	return counts
}

func addressOf(rr dns.RR) string { return rr.(*dns.A).A.String() }
func portOf(rr dns.RR) string    { return fmt.Sprint(rr.(*dns.SRV).Port) }

// TestOrderIsFair: every instance comes first as often as any other, and every
// order of three is as likely.
func TestOrderIsFair(t *testing.T) {
	var recs records
	recs.fleet("web", 10)
	recs.fleet("abc", 3)
	x := recs.index(t)
	r := testResponder(t, nil)
	shares := map[string]float64{}
	for i := range 10 {
		shares[fmt.Sprintf("10.0.0.%d", i)] = 0.1
	}
	near(t, "first of ten", orderRounds, firsts(t, r, x, "web.service.consul", dns.TypeA, addressOf), shares)

	random, orders := seeded(43), map[string]int{}
	for range orderRounds {
		reply, _ := ask(t, r, x, question("abc.service.consul", dns.TypeSRV), false, random)
		var order string
		for _, rr := range reply.Answer {
			order += rr.(*dns.SRV).Target[5:6]
		}
		orders[order]++
	}
	shares = map[string]float64{}
	for _, order := range []string{"012", "021", "102", "120", "201", "210"} {
		shares[order] = 1.0 / 6
	}
	near(t, "order of three", orderRounds, orders, shares)
}

// weighted is a service whose instances have weights 1, 2, 3, and 4 as long as it warns.
func weighted(t *testing.T) *catalog.Index {
	var recs records
	for i := range 4 {
		node := fmt.Sprintf("n%d", i)
		recs.node(node, fmt.Sprintf("10.0.0.%d", i+1))
		recs.instance(node, "web", node+"-web", 81+i).Weights = registry.Weights{Passing: i + 1, Warning: 4}
	}
	recs.instances[3].Weights.Passing = 1000
	recs.check("n3", "n3-web", registry.Warning)
	return recs.index(t)
}

// TestOrderIsWeighted: each comes first in proportion to its weight, and of those that are left, next.
func TestOrderIsWeighted(t *testing.T) {
	x, r := weighted(t), testResponder(t, nil)
	near(t, "first address", orderRounds, firsts(t, r, x, "web.service.consul", dns.TypeA, addressOf),
		map[string]float64{"10.0.0.1": 0.1, "10.0.0.2": 0.2, "10.0.0.3": 0.3, "10.0.0.4": 0.4})
	near(t, "first service", orderRounds, firsts(t, r, x, "web.service.consul", dns.TypeSRV, portOf),
		map[string]float64{"81": 0.1, "82": 0.2, "83": 0.3, "84": 0.4})
	random, second := seeded(44), map[string]int{}
	rounds := 0
	for range orderRounds {
		reply, _ := ask(t, r, x, question("web.service.consul", dns.TypeSRV), false, random)
		if portOf(reply.Answer[0]) == "84" {
			rounds++
			second[portOf(reply.Answer[1])]++
		}
	}
	near(t, "after the heaviest", rounds, second, map[string]float64{"81": 1.0 / 6, "82": 2.0 / 6, "83": 3.0 / 6})
}

// TestSharedAddress: instances at one address have one address record, with the weights of all.
func TestSharedAddress(t *testing.T) {
	var recs records
	recs.node("n0", "10.0.0.1")
	recs.node("n1", "10.0.0.2")
	for i := range 3 {
		recs.instance("n0", "web", fmt.Sprint(i), 80+i)
	}
	recs.instance("n1", "web", "other", 80)
	near(t, "first", orderRounds, firsts(t, testResponder(t, nil), recs.index(t), "web.service.consul", dns.TypeA, addressOf),
		map[string]float64{"10.0.0.1": 0.75, "10.0.0.2": 0.25})
}

// TestWeightZero: an instance of weight 0 comes first hardly ever, but it comes.
func TestWeightZero(t *testing.T) {
	var recs records
	recs.fleet("web", 2)
	recs.instances[0].Weights = registry.Weights{Passing: 1, Warning: 0}
	recs.check("web-n0", "web-0", registry.Warning)
	counts := firsts(t, testResponder(t, nil), recs.index(t), "web.service.consul", dns.TypeA, addressOf)
	if n := counts["10.0.0.0"]; n == 0 || n > orderRounds/100 {
		t.Errorf("the one of weight 0 is first %d times of %d", n, orderRounds)
	}
}

// TestOrderDrawsEachOnce: whatever the shares, every unit is drawn, and once; the preferred before the others.
func TestOrderDrawsEachOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn := rapid.SliceOfN(rapid.Uint64Range(1, rapid.SampledFrom([]uint64{1, 2, 1 << 24}).Draw(t, "most")), 0, 200).Draw(t, "shares")
		p := &plan{preferred: rapid.IntRange(0, len(drawn)).Draw(t, "preferred")}
		for i, s := range drawn {
			p.units = append(p.units, unit{share: s, from: uint32(i)})
		}
		p.shares = [2]shares{newShares(p.units[:p.preferred]), newShares(p.units[p.preferred:])}
		random := seeded(rapid.Uint64().Draw(t, "seed"))
		var o order
		for range 2 { // an order can be begun again
			o.begin(p)
			seen := map[uint32]bool{}
			for u, ok := o.next(random); ok; u, ok = o.next(random) {
				if seen[u.from] {
					t.Fatalf("%d is drawn twice", u.from)
				}
				if int(u.from) >= p.preferred && len(seen) < p.preferred {
					t.Fatalf("%d is drawn before all that are preferred", u.from)
				}
				seen[u.from] = true
			}
			if len(seen) != len(drawn) {
				t.Fatalf("%d drawn of %d", len(seen), len(drawn))
			}
		}
	})
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

func BenchmarkOrder(b *testing.B) {
	for _, n := range []int{1, 10, 5000} {
		for _, spread := range []int{1, 3} {
			b.Run(fmt.Sprintf("10_of_%d_of_%d_weights", n, spread), func(b *testing.B) {
				p := &plan{units: make([]unit, n)}
				for i := range p.units {
					p.units[i].share = share(uint16(1 + i%spread))
				}
				p.shares[1] = newShares(p.units)
				random := rand.New(anyOrder{})
				var o order
				b.ReportAllocs()
				for b.Loop() {
					o.begin(p)
					for range min(n, 10) {
						o.next(random)
					}
				}
			})
		}
	}
}
