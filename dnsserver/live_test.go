package dnsserver

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/storetest"

	"github.com/miekg/dns"
)

// live is a door over a store that can be written to.
type live struct {
	t       *testing.T
	store   *storetest.Memory
	catalog *catalog.Catalog
	at      string
}

func newLive(t *testing.T) *live {
	t.Helper()
	l := &live{t: t, store: storetest.NewMemory(t), catalog: catalog.New()}
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { _ = l.catalog.Follow(ctx, l.store) }) // ends with the test or with the store
	t.Cleanup(func() { cancel(); following.Wait() })
	d := openDoor(t, testHost(l.catalog), nil)
	run(t, d)
	l.at = d.Addresses()[0].Address
	if _, err := l.catalog.WaitRevision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	return l
}

// write writes to the store, and waits until the catalog has it.
func (l *live) write(ops ...registry.Op) {
	l.t.Helper()
	done, err := l.store.Txn(context.Background(), registry.Txn{Then: ops})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.catalog.WaitRevision(context.Background(), done.Revisions[registry.SpaceCatalog]); err != nil {
		l.t.Fatal(err)
	}
}

func (l *live) register(n int) {
	l.t.Helper()
	node := fmt.Sprintf("n%d", n)
	l.write(
		catalog.PutNode(registry.Node{Name: node, Address: fmt.Sprintf("10.0.%d.%d", n/250, n%250+1)}, 0),
		catalog.PutInstance(registry.Instance{Node: node, ID: "web", Service: "web", Port: 80, Weights: registry.DefaultWeights()}, 0),
	)
}

func (l *live) ask(name string, qtype uint16) *dns.Msg {
	l.t.Helper()
	return exchange(l.t, "udp", l.at, question(name, qtype))
}

// TestFollowsTheCatalog: what was registered, checked or removed is in the next
// answer, and the serial says that something changed.
func TestFollowsTheCatalog(t *testing.T) {
	l := newLive(t)
	var serial uint32
	rose := func(when string) {
		t.Helper()
		soa := l.ask("consul", dns.TypeSOA).Answer[0].(*dns.SOA)
		if soa.Serial <= serial {
			t.Errorf("%s: serial %d after %d", when, soa.Serial, serial)
		}
		serial = soa.Serial
	}
	expect := func(when string, rcode, answers int) {
		t.Helper()
		if reply := l.ask("web.service.consul", dns.TypeSRV); reply.Rcode != rcode || len(reply.Answer) != answers {
			t.Errorf("%s: %v", when, reply)
		}
	}
	rose("at first")
	expect("nothing is registered", dns.RcodeNameError, 0)
	l.register(0)
	rose("registered")
	expect("registered", dns.RcodeSuccess, 1)
	l.register(1)
	expect("another", dns.RcodeSuccess, 2)
	check := registry.Check{Node: "n1", ServiceID: "web", ID: "c", Name: "c", Status: registry.Critical}
	l.write(catalog.PutCheck(check, 0))
	rose("one is critical")
	expect("one is critical", dns.RcodeSuccess, 1)
	check.Status = registry.Passing
	l.write(catalog.PutCheck(check, 0))
	expect("it passes", dns.RcodeSuccess, 2)
	l.write(catalog.DeleteInstance("n1", "web")...)
	expect("one is removed", dns.RcodeSuccess, 1)
	if reply := l.ask("n1.node.consul", dns.TypeA); len(reply.Answer) != 1 {
		t.Errorf("its node: %v", reply)
	}
	l.write(catalog.DeleteNode("n0")...)
	expect("none is left", dns.RcodeNameError, 0)
}

// TestAnswersWithoutTheStore: DNS goes on with what it knows.
func TestAnswersWithoutTheStore(t *testing.T) {
	l := newLive(t)
	l.register(0)
	l.store.Close()
	for range 100 {
		if reply := l.ask("web.service.consul", dns.TypeA); reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
			t.Fatalf("%v", reply)
		}
	}
}

// TestAnswersWhileTheCatalogChanges: every answer is of one state of the catalog.
// Each write moves all instances to another network, so an answer with two
// would be of two.
func TestAnswersWhileTheCatalogChanges(t *testing.T) {
	l := newLive(t)
	const instances, moves = 20, 100
	move := func(network int) {
		var ops []registry.Op
		for n := range instances {
			node := fmt.Sprintf("n%d", n)
			ops = append(ops,
				catalog.PutNode(registry.Node{Name: node, Address: fmt.Sprintf("10.0.%d.%d", network, n+1)}, 0),
				catalog.PutInstance(registry.Instance{Node: node, ID: "web", Service: "web", Port: 80}, 0))
		}
		l.write(ops...)
	}
	move(0)
	quit := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			c := dns.Client{}
			for {
				select {
				case <-quit:
					return
				default:
				}
				reply, _, err := c.Exchange(question("web.service.consul", dns.TypeA), l.at)
				if err != nil {
					t.Error(err)
					return
				}
				if len(reply.Answer) != instances {
					t.Errorf("%d answers", len(reply.Answer))
				}
				network := reply.Answer[0].(*dns.A).A.To4()[2]
				for _, rr := range reply.Answer {
					if got := rr.(*dns.A).A.To4()[2]; got != network {
						t.Errorf("an answer of the networks %d and %d", network, got)
					}
				}
			}
		})
	}
	for n := range moves {
		move(n % 256)
	}
	close(quit)
	asking.Wait()
}
