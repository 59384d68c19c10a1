package dnsserver

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/storetest"

	"github.com/miekg/dns"
)

// restarted is a store that has heard from no leader yet.
type restarted struct {
	registry.Store
	confirmed atomic.Bool
	released  chan struct{} // closed once it is
	asked     chan struct{} // gets one for every read before it is confirmed
}

func (s *restarted) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	res, err := s.Store.Range(ctx, r)
	if s.confirmed.Load() {
		return res, err
	}
	res.Age = math.MaxInt64
	select {
	case s.asked <- struct{}{}:
	case <-s.released:
	case <-ctx.Done():
	}
	return res, err
}

// TestAfterARestart: while the log is not replayed, what was registered is not
// denied.
func TestAfterARestart(t *testing.T) {
	memory := storetest.NewMemory(t)
	s := &restarted{Store: memory, released: make(chan struct{}), asked: make(chan struct{})}
	c := catalog.New()
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { _ = c.Follow(ctx, s) }) // ends with the test
	t.Cleanup(func() { cancel(); following.Wait() })
	d := openDoor(t, testHost(c), nil)
	run(t, d)
	ask := func() *dns.Msg {
		return exchange(t, "udp", d.Addresses()[0].Address, question("web.service.consul", dns.TypeA))
	}

	fed := make(chan struct{})
	following.Go(func() {
		if _, err := c.WaitRevision(ctx, 1); err == nil {
			close(fed)
		}
	})
	// Follow has read the store's age twice: it looked at the first and waits.
	for range 2 {
		select {
		case <-s.asked:
		case <-fed:
			t.Fatal("the catalog was read before a leader was heard")
		}
		if reply := ask(); reply.Rcode != dns.RcodeServerFailure || len(reply.Ns) > 0 {
			t.Errorf("before the log is replayed: %s with %d records of authority", dns.RcodeToString[reply.Rcode], len(reply.Ns))
		}
	}
	done, err := memory.Txn(ctx, registry.Txn{Then: []registry.Op{
		catalog.PutNode(registry.Node{Name: "n", Address: "10.0.0.1"}, 0),
		catalog.PutInstance(registry.Instance{Node: "n", ID: "web", Service: "web", Port: 80, Weights: registry.DefaultWeights()}, 0),
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.confirmed.Store(true)
	close(s.released)
	if _, err := c.WaitRevision(ctx, done.Revisions[registry.SpaceCatalog]); err != nil {
		t.Fatal(err)
	}
	if reply := ask(); reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
		t.Errorf("after it: %s with %d answers", dns.RcodeToString[reply.Rcode], len(reply.Answer))
	}
}
