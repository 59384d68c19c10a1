package dnsserver

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/plugin"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testRevision = 7

// still is a store that holds the catalog's space as it is, and never changes.
type still struct {
	registry.Store
	kvs []registry.KeyValue
}

func (s *still) put(key string, value []byte) {
	s.kvs = append(s.kvs, registry.KeyValue{Key: key, Value: value, CreateRevision: testRevision, ModRevision: testRevision, Version: 1})
}

func (s *still) Range(context.Context, registry.RangeRequest) (registry.RangeResult, error) {
	return registry.RangeResult{KVs: s.kvs, Revision: testRevision}, nil
}

func (s *still) Watch(_ context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	if r.StartRevision <= testRevision {
		return nil, &registry.CompactedError{Space: r.Space, Lowest: testRevision}
	}
	return silence{}, nil
}

// silence is a watcher to which nothing ever happens.
type silence struct{ registry.Watcher }

func (silence) StartedAt() int64 { return testRevision }
func (silence) Close()           {}
func (silence) Next(ctx context.Context) ([]registry.Commit, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// records are what a test's catalog holds.
type records struct {
	nodes     []registry.Node
	instances []registry.Instance
	checks    []registry.Check
}

func (r *records) node(name, address string) *registry.Node {
	r.nodes = append(r.nodes, registry.Node{Name: name, Address: address})
	return &r.nodes[len(r.nodes)-1]
}

func (r *records) instance(node, service, id string, port int) *registry.Instance {
	r.instances = append(r.instances, registry.Instance{
		Node: node, Service: service, ID: id, Port: port, Weights: registry.DefaultWeights(),
	})
	return &r.instances[len(r.instances)-1]
}

// check gives an instance, or the node if service is "", a status.
func (r *records) check(node, service string, s registry.HealthStatus) {
	r.checks = append(r.checks, registry.Check{Node: node, ServiceID: service, ID: "check of " + service, Name: "c", Status: s})
}

// fleet registers n instances of a service, each on a node of its own.
func (r *records) fleet(service string, n int) {
	for i := range n {
		node := fmt.Sprintf("%s-n%d", service, i)
		r.node(node, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String())
		r.instance(node, service, fmt.Sprintf("%s-%d", service, i), 8000)
	}
}

// catalog returns a live catalog that holds the records.
func (r *records) catalog(t testing.TB) *catalog.Catalog {
	t.Helper()
	s := &still{}
	for _, n := range r.nodes {
		s.put(catalog.NodeKey(n.Name), catalog.EncodeNode(n))
	}
	for _, i := range r.instances {
		s.put(catalog.InstanceKey(i.Node, i.ID), catalog.EncodeInstance(i))
	}
	for _, c := range r.checks {
		s.put(catalog.CheckKey(c.Node, c.ServiceID, c.ID), catalog.EncodeCheck(c))
	}
	c := catalog.New()
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() {
		if err := c.Follow(ctx, s); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); following.Wait() })
	if _, err := c.WaitRevision(ctx, testRevision); err != nil {
		t.Fatal(err)
	}
	if n := c.Malformed(); n > 0 {
		t.Fatalf("%d records of the test cannot be read", n)
	}
	return c
}

// index returns an index of the records.
func (r *records) index(t testing.TB) *catalog.Index {
	t.Helper()
	return r.catalog(t).Index()
}

func testResponder(t testing.TB, change func(*Config)) *responder {
	t.Helper()
	c := DefaultConfig()
	if change != nil {
		change(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	r, err := newResponder(&c, "n0", "dc1")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// question is a message that asks for one name.
func question(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), qtype)
	return m
}

// ask answers a message as the handler does, and reads the answer back.
func ask(t testing.TB, r *responder, x *catalog.Index, m *dns.Msg, stream bool, random *rand.Rand) (*dns.Msg, int) {
	t.Helper()
	q, ok := readQuery(m, stream)
	if !ok {
		t.Fatalf("%v is no query", m.Question)
	}
	a := r.respond(nil, x, q, random)
	var reply dns.Msg
	if err := reply.Unpack(a.wire); err != nil {
		t.Fatalf("%v: the answer cannot be read: %v\n%x", m.Question, err, a.wire)
	}
	return &reply, len(a.wire)
}

// show is a reply as text, its sections sorted.
func show(m *dns.Msg) string {
	var b strings.Builder
	b.WriteString(rcodeName(m.Rcode))
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"aa", m.Authoritative}, {"tc", m.Truncated}, {"rd", m.RecursionDesired}, {"ra", m.RecursionAvailable},
		{"ad", m.AuthenticatedData}, {"cd", m.CheckingDisabled},
	} {
		if f.set {
			b.WriteString(" " + f.name)
		}
	}
	for _, section := range []struct {
		name string
		rrs  []dns.RR
	}{{"answer", m.Answer}, {"authority", m.Ns}, {"additional", m.Extra}} {
		var lines []string
		for _, rr := range section.rrs {
			if opt, ok := rr.(*dns.OPT); ok {
				lines = append(lines, showOPT(opt))
				continue
			}
			lines = append(lines, strings.Join(strings.Fields(rr.String()), " "))
		}
		slices.Sort(lines)
		for _, line := range lines {
			fmt.Fprintf(&b, "\n%s %s", section.name, line)
		}
	}
	return b.String()
}

func showOPT(opt *dns.OPT) string {
	s := fmt.Sprintf("OPT version %d size %d", opt.Version(), opt.UDPSize())
	if opt.Do() {
		s += " do"
	}
	for _, o := range opt.Option {
		s += fmt.Sprintf(" option %d %v", o.Option(), o)
	}
	return s
}

// tally is metrics that can be read.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (m *tally) inc(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts == nil {
		m.counts = map[string]int{}
	}
	m.counts[key]++
}

func (m *tally) of(key string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[key]
}

func (m *tally) Counter(name, _ string, _ ...string) plugin.Counter { return tallyCounter{m, name} }
func (m *tally) Histogram(name, _ string, _ ...string) plugin.Histogram {
	return tallyHistogram{m, name}
}
func (m *tally) Gauge(string, string, func() float64) {}

type tallyCounter struct {
	of   *tally
	name string
}

func (c tallyCounter) With(values ...string) interface{ Inc() } {
	return tallySeries{c.of, c.name + " " + strings.Join(values, " ")}
}

type tallyHistogram struct {
	of   *tally
	name string
}

func (h tallyHistogram) With(values ...string) interface{ Observe(float64) } {
	return tallySeries{h.of, strings.TrimSpace(h.name + " " + strings.Join(values, " "))}
}

type tallySeries struct {
	of  *tally
	key string
}

func (s tallySeries) Inc()            { s.of.inc(s.key) }
func (s tallySeries) Observe(float64) { s.of.inc(s.key) }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
