package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestZone(t *testing.T) {
	var b strings.Builder
	if err := dnsCatalog(20).writeZone(&b); err != nil {
		t.Fatal(err)
	}
	const head = `$ORIGIN consul.
$TTL 0
@ SOA ns hostmaster 1 3600 600 86400 0
@ NS ns
ns A 127.0.0.1
svc-0.service.consul. A 10.0.0.1
svc-0.service.consul. SRV 1 1 8080 0a000001.addr.dc1.consul.
0a000001.addr.dc1.consul. A 10.0.0.1
svc-0.service.consul. A 10.0.0.2
`
	const tail = `svc-1.service.consul. A 10.0.0.20
svc-1.service.consul. SRV 1 1 8080 0a000014.addr.dc1.consul.
0a000014.addr.dc1.consul. A 10.0.0.20
`
	if got := b.String(); !strings.HasPrefix(got, head) || !strings.HasSuffix(got, tail) {
		t.Errorf("got\n%s", got)
	}
}

// What Herald is filled with is what the zone says: every instance once, those of one service on nodes of their own.
func TestTransactionsAreTheZone(t *testing.T) {
	const mostOperations = 128 // that the API takes
	type operation struct {
		Node *struct {
			Verb string
			Node struct{ Node, Address string }
		}
		Service *struct {
			Verb, Node string
			Service    struct {
				ID, Service, Address string
				Port                 int
				Weights              struct{ Passing int }
			}
		}
	}
	for _, n := range []dnsCatalog{10, 100, 1000, 1090, 12340} {
		var zone strings.Builder
		if err := n.writeZone(&zone); err != nil {
			t.Fatal(err)
		}
		ids, places, nodes := map[string]bool{}, map[string]bool{}, map[string]bool{}
		for node := range n.nodes() {
			var operations []operation
			if err := json.Unmarshal([]byte(n.transaction(node)), &operations); err != nil {
				t.Fatal(err)
			}
			if len(operations) > mostOperations {
				t.Errorf("%d instances: %d operations at once", n, len(operations))
			}
			nodes[operations[0].Node.Node.Node] = true
			for _, o := range operations[1:] {
				s := o.Service.Service
				ids[s.ID], places[s.Service+" on "+o.Service.Node] = true, true
				records := fmt.Sprintf("%s.service.consul. A %s\n%[1]s.service.consul. SRV 1 %[3]d %[4]d", s.Service, s.Address, s.Weights.Passing, s.Port)
				if n <= 100 && !strings.Contains(zone.String(), records) {
					t.Errorf("the zone has no %s", records)
				}
				if !nodes[o.Service.Node] {
					t.Errorf("%s is on %s, which is not registered", s.ID, o.Service.Node)
				}
			}
		}
		if len(ids) != int(n) || len(places) != int(n) || len(nodes) != n.nodes() {
			t.Errorf("%d instances: %d registered, in %d places on %d nodes", n, len(ids), len(places), len(nodes))
		}
	}
}

func TestQuestions(t *testing.T) {
	const n = dnsCatalog(100)
	var first, again strings.Builder
	for _, b := range []*strings.Builder{&first, &again} {
		if err := n.writeQuestions(b); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != again.String() {
		t.Error("the peers are not asked the same")
	}
	times := map[string]int{}
	for line := range strings.Lines(first.String()) {
		times[strings.TrimSpace(line)]++
	}
	if len(times) != 2*n.services() {
		t.Errorf("%d different questions about %d services", len(times), n.services())
	}
	for q, times := range times {
		if want := dnsQuestions / 2 / n.services(); times < want*9/10 || times > want*11/10 {
			t.Errorf("%q is asked %d times, not about %d", q, times, want)
		}
	}
}
