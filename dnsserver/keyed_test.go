package dnsserver

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/dnsserver/recursor"
	"herald/dnsserver/skydns"
	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/storetest"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

func keyedZones(c *Config) { c.SkyDNSZones = []string{"skydns.local", "0.0.10.in-addr.arpa"} }

// keyedHandler is testHandler with keyed zones.
func keyedHandler(t testing.TB, recs *records, keys *keySpace) *handler {
	t.Helper()
	h := testHandler(t, recs)
	h.responder = testResponder(t, keyedZones)
	tree := keys.tree(t)
	h.tree = func() *skydns.Tree { return tree }
	return h
}

// varietyOfKeys is one of everything.
func varietyOfKeys() *keySpace {
	var s keySpace
	s.put("/skydns/local/skydns/dns/ns/a", `{"host":"10.0.9.1"}`)
	s.put("/skydns/local/skydns/db", `{"host":"10.0.2.1","port":5432,"text":"leader","mail":true}`)
	s.put("/skydns/local/skydns/db/replica", `{"host":"10.0.2.2","port":5432,"priority":20}`)
	s.put("/skydns/local/skydns/db/other", `{"host":"web.service.consul","port":5433}`)
	s.put("/skydns/local/skydns/alias", `{"host":"replica.db.skydns.local"}`)
	for i := range 100 {
		s.put(fmt.Sprintf("/skydns/local/skydns/many/%d", i), fmt.Sprintf(`{"host":"10.3.0.%d","port":80,"weight":%d}`, i, i))
	}
	s.put("/skydns/arpa/in-addr/10/0/0/1", `{"host":"db.skydns.local"}`)
	return &s
}

// anyKeys is a few keys with much of what makes answers differ.
func anyKeys(t *rapid.T) *keySpace {
	var s keySpace
	seen := map[string]bool{}
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	for range rapid.IntRange(0, 30).Draw(t, "keys") {
		key := "/skydns/" + pick("zone", "local/skydns", "local/skydns", "local/skydns", "arpa/in-addr/10/0/0") +
			pick("first", "/a", "/b", "/dns/ns", "/dns/apex", "/1", "") + pick("second", "", "/a", "/x/y", "/")
		if seen[key] {
			continue
		}
		seen[key] = true
		s.put(key, fmt.Sprintf(`{"host":%q,"port":%s,"priority":%s,"weight":%s,"ttl":%s,"mail":%s,"text":%q,"targetstrip":%s,"group":%q}`,
			pick("host", "10.0.0.1", "10.0.0.2", "2001:db8::1", "a.skydns.local", "b.skydns.local", "web.service.consul", "www.example.org", ""),
			pick("port", "80", "0", "-1"), pick("priority", "0", "1"), pick("weight", "0", "1", "1000"), pick("ttl", "0", "60"), pick("mail", "true", "false"),
			pick("text", "", "", "t", strings.Repeat("long ", 200)), pick("strip", "0", "0", "1", "9"), pick("group", "", "", "g", "h")))
	}
	return &s
}

func anyKeyedQuestion(t *rapid.T) *dns.Msg {
	m := question(rapid.SampledFrom([]string{
		"a.skydns.local.", "b.skydns.local.", "A.SkyDNS.local.", "y.x.a.skydns.local.", "*.a.skydns.local.", "a.*.skydns.local.", "*.any.skydns.local.", "skydns.local.", "ns.dns.skydns.local.",
		"none.skydns.local.", "1.0.0.10.in-addr.arpa.", "0.0.10.in-addr.arpa.", "web.service.consul.", `x\.y.skydns.local.`, `\000.skydns.local.`,
	}).Draw(t, "name"), rapid.SampledFrom([]uint16{
		dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeANY, dns.TypeTXT, dns.TypeSOA, dns.TypeNS, dns.TypePTR, dns.TypeCNAME, dns.TypeMX, dns.TypeHTTPS,
	}).Draw(t, "type"))
	m.Id = 77
	if rapid.Bool().Draw(t, "edns") {
		m.SetEdns0(rapid.SampledFrom([]uint16{512, 1232, 4096}).Draw(t, "size"), false)
	}
	return m
}

// TestKeyedFastPathIsTheHandler: for whatever keys, the two ways to an answer give the same bytes, twice; what comes is a whole
// message within its size, with each record once, none beside an alias, and an SOA where there is no record.
func TestKeyedFastPathIsTheHandler(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		var recs records
		recs.fleet("web", 3)
		h := keyedHandler(outer, &recs, anyKeys(t))
		for n := range 30 {
			m := anyKeyedQuestion(t)
			packet, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			fast, slow := bothWays(h, packet, uint64(n))
			again, _ := bothWays(h, packet, uint64(n))
			if fast == nil || string(fast) != string(slow) || string(fast) != string(again) {
				t.Fatalf("%v is answered\n%x\nthen\n%x\nand by the handler\n%x", m.Question, fast, again, slow)
			}
			wantSound(t, m, fast)
		}
	})
}

// wantSound checks what every answer has to be.
func wantSound(t *rapid.T, asked *dns.Msg, wire []byte) {
	limit := dns.MinMsgSize
	if o := asked.IsEdns0(); o != nil && asked.Question[0].Qtype != dns.TypeANY {
		limit = int(o.UDPSize())
	}
	var m dns.Msg
	if err := m.Unpack(wire); err != nil || len(wire) > limit {
		t.Fatalf("%v: %d bytes, %v", asked.Question, len(wire), err)
	}
	seen, types, ttls := map[string]bool{}, map[string]uint16{}, map[string]uint32{}
	for _, rr := range m.Answer {
		h := rr.Header()
		h.Name = strings.ToLower(h.Name)
		set := fmt.Sprint(h.Name, h.Rrtype)
		if ttl, ok := ttls[set]; ok && ttl != h.Ttl {
			t.Fatalf("records of one set have TTLs of their own:\n%v", &m)
		}
		ttls[set] = h.Ttl
		if text := rr.String(); seen[text] {
			t.Fatalf("%s comes twice:\n%v", text, &m)
		} else {
			seen[text] = true
		}
		if was, ok := types[h.Name]; ok && was != h.Rrtype && (was == dns.TypeCNAME || h.Rrtype == dns.TypeCNAME) {
			t.Fatalf("an alias has other records:\n%v", &m)
		}
		types[h.Name] = h.Rrtype
	}
	switch {
	case m.Rcode == dns.RcodeServerFailure:
		t.Fatalf("%v failed", asked.Question)
	case len(m.Answer) == 0 && !m.Truncated && (len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA):
		t.Fatalf("no record, and no SOA:\n%v", &m)
	}
}

// FuzzKeyedValue: whatever a value is, all answers of which it is a part can be read.
func FuzzKeyedValue(f *testing.F) {
	f.Add(`{"host":"10.0.0.1","port":80,"priority":1,"weight":2,"text":"t","mail":true,"ttl":4,"targetstrip":5,"group":"g"}`)
	f.Add(`{"host":"a.example.","port":-1}`)
	f.Add(`{"host":"x.skydns.local","text":"\u0000"}`)
	h := testHandler(f, variety())
	h.responder = testResponder(f, keyedZones)
	f.Fuzz(func(t *testing.T, value string) {
		var keys keySpace
		keys.put("/skydns/local/skydns/x", value)
		keys.put("/skydns/local/skydns/y/z", value)
		keys.put("/skydns/local/skydns/dns/ns", value)
		tree := keys.tree(t)
		h.tree = func() *skydns.Tree { return tree }
		for _, name := range []string{"x.skydns.local", "y.skydns.local", "*.skydns.local", "skydns.local"} {
			for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypeMX, dns.TypeTXT, dns.TypePTR, dns.TypeNS, dns.TypeANY} {
				for _, stream := range []bool{false, true} {
					ask(t, h.responder, h.catalog.Index(), question(name, qtype), stream, seeded(1))
				}
			}
		}
	})
}

// TestKeyedPriorities: records come by priority, those of one in any order, so that what is cut is what comes last.
func TestKeyedPriorities(t *testing.T) {
	var keys keySpace
	for i := range 60 {
		keys.put(fmt.Sprintf("/skydns/local/skydns/s/%02d", i), fmt.Sprintf(`{"host":"10.0.0.%d","port":80,"priority":%d}`, i, 1+i%3))
	}
	tree := keys.tree(t)
	r := testResponder(t, keyedZones)
	r.tree = func() *skydns.Tree { return tree }
	var recs records
	x := recs.index(t)
	firsts := map[string]int{}
	for seed := range uint64(400) {
		reply, _ := ask(t, r, x, question("s.skydns.local", dns.TypeSRV), false, seeded(seed))
		if !reply.Truncated || len(reply.Answer) < 5 {
			t.Fatalf("%v", reply)
		}
		for _, rr := range reply.Answer {
			if rr.(*dns.SRV).Priority != 1 {
				t.Fatalf("%v has come, with others of priority 1 left", rr)
			}
		}
		firsts[reply.Answer[0].(*dns.SRV).Target]++
	}
	if len(firsts) != 20 {
		t.Errorf("%d of 20 come first now and then: %v", len(firsts), firsts)
	}
}

// TestKeyedMultitudes: a question that concerns more records than are looked at is answered with some and TC, or fails; never
// is a name denied that may exist.
func TestKeyedMultitudes(t *testing.T) {
	var keys keySpace
	for i := range 20_000 {
		keys.put(fmt.Sprintf("/skydns/local/skydns/r%05d/x", i), `{"host":"10.0.0.1","text":"t"}`)
	}
	tree := keys.tree(t)
	r := testResponder(t, keyedZones)
	r.tree = func() *skydns.Tree { return tree }
	var recs records
	x := recs.index(t)
	for _, test := range []struct {
		name   string
		qtype  uint16
		rcode  int
		tc     bool
		atMost int
	}{
		{"skydns.local", dns.TypeA, dns.RcodeSuccess, true, 1}, // all have one address
		{"skydns.local", dns.TypeSRV, dns.RcodeSuccess, true, skydns.MaxWork},
		{"skydns.local", dns.TypeAAAA, dns.RcodeServerFailure, false, 0},
		{"skydns.local", dns.TypeHTTPS, dns.RcodeSuccess, false, 0},
		{"skydns.local", dns.TypeSOA, dns.RcodeSuccess, false, 1},
		{"x.*.skydns.local", dns.TypeSRV, dns.RcodeSuccess, true, skydns.MaxWork},
		{"nosuch.*.skydns.local", dns.TypeA, dns.RcodeServerFailure, false, 0},
		{"nosuch.*.skydns.local", dns.TypeHTTPS, dns.RcodeServerFailure, false, 0},
		{"*.*.*.*.*.*.*.skydns.local", dns.TypeA, dns.RcodeServerFailure, false, 0},
		{"nosuch.skydns.local", dns.TypeA, dns.RcodeNameError, false, 0},
		{"x.r12345.skydns.local", dns.TypeA, dns.RcodeSuccess, false, 1},
	} {
		for _, stream := range []bool{false, true} {
			reply, _ := ask(t, r, x, question(test.name, test.qtype), stream, seeded(1))
			if reply.Rcode != test.rcode || reply.Truncated != test.tc || len(reply.Answer) > test.atMost || test.tc != (len(reply.Answer) > 0 && test.qtype != dns.TypeSOA && test.tc) {
				t.Errorf("%s %s: %s, tc %v, %d answers", test.name, dns.TypeToString[test.qtype], dns.RcodeToString[reply.Rcode], reply.Truncated, len(reply.Answer))
			}
		}
	}
}

// TestKeysOfALiveStore: what is put, attached to a lease and deleted is answered with at once; zones of keys are SERVFAIL before they are
// read and once they are older than max_stale, whatever the catalog is.
func TestKeysOfALiveStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.Open()
		defer memory.Close()
		c := catalog.New()
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		defer func() { cancel(); running.Wait() }()

		host := testHost(c)
		host.Store = memory
		config := DefaultConfig()
		keyedZones(&config)
		config.MaxStale = time.Minute
		following, err := followKeys(&config, host)
		if err != nil {
			t.Fatal(err)
		}
		h := &handler{
			responder: testResponder(t, func(to *Config) { *to = config }), catalog: c, metrics: newMetrics(&tally{}), log: quiet(),
			clock: time.Now, random: seeded(1), freshness: newFreshness(c), treeFreshness: newFreshness(following), buffers: &sync.Pool{},
		}
		h.tree = following.Tree
		for _, s := range []interface {
			serve(context.Context) error
		}{following, h.freshness, h.treeFreshness} {
			running.Go(func() {
				if err := s.serve(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		told := func(name string, want string) {
			t.Helper()
			time.Sleep(2 * freshnessInterval)
			synctest.Wait()
			packet, err := question(name, dns.TypeA).Pack()
			if err != nil {
				t.Fatal(err)
			}
			_, a := h.packet(nil, packet, netip.MustParseAddr("192.0.2.1"))
			var reply dns.Msg
			if err := reply.Unpack(a.wire); err != nil {
				t.Fatal(err)
			}
			got := dns.RcodeToString[reply.Rcode]
			for _, rr := range reply.Answer {
				if a, ok := rr.(*dns.A); ok {
					got += " " + a.A.String()
				}
			}
			if got != want {
				t.Errorf("%s: %s; want %s", name, got, want)
			}
		}
		put := func(key, value string, lease registry.LeaseID) {
			t.Helper()
			if _, err := registry.Put(ctx, memory, registry.PutRequest{Key: key, Value: []byte(value), Lease: lease}); err != nil {
				t.Fatal(err)
			}
		}

		put("/skydns/local/skydns/a", `{"host":"10.0.0.1"}`, 0)
		told("a.skydns.local", "SERVFAIL") // the catalog has not been read, so nothing is known of the log
		if age := following.Age(); age != math.MaxInt64 {
			t.Errorf("%v old", age)
		}
		running.Go(func() { _ = c.Follow(ctx, memory) }) // ends with ctx
		told("a.skydns.local", "NOERROR 10.0.0.1")
		told("b.skydns.local", "NXDOMAIN")
		if _, err := memory.GrantLease(ctx, 5, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		put("/skydns/local/skydns/b", `{"host":"10.0.0.2"}`, 5)
		told("b.skydns.local", "NOERROR 10.0.0.2")
		time.Sleep(20 * time.Second)
		told("b.skydns.local", "NXDOMAIN")

		memory.Close()
		time.Sleep(30 * time.Second)
		told("a.skydns.local", "NOERROR 10.0.0.1")
		time.Sleep(time.Minute)
		told("a.skydns.local", "SERVFAIL")
	})
}

func TestKeysAreNotOfAgents(t *testing.T) {
	d := New()
	c := d.Config().(*Config)
	c.Address = "127.0.0.1:0"
	keyedZones(c)
	err := d.Open(context.Background(), testHost(catalog.New()))
	if err == nil || !strings.Contains(err.Error(), "skydns_zones: this is an agent") {
		t.Errorf("%v", err)
	}
}

// TestKeyedDoor answers from a store, by way of the door as it is opened, and has recursors go on where an alias leads.
func TestKeyedDoor(t *testing.T) {
	memory := storetest.NewMemory(t)
	c := catalog.New()
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { _ = c.Follow(ctx, memory) }) // ends with the test
	t.Cleanup(func() { cancel(); following.Wait() })
	for key, value := range map[string]string{"a": `{"host":"10.0.0.1"}`, "far": `{"host":"www.example.com"}`} {
		if _, err := registry.Put(ctx, memory, registry.PutRequest{Key: "records/local/skydns/" + key, Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
	}
	host := testHost(c)
	host.Store = memory
	world := theWorld(t, "www.example.com. 60 IN A 192.0.2.1")
	d := openDoor(t, host, func(c *Config) { keyedZones(c); c.SkyDNSPrefix, c.Recursors = "records", []string{world} })
	stop := run(t, d)
	var reply *dns.Msg
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if reply = exchange(t, "udp", d.Addresses()[0].Address, question("a.skydns.local", dns.TypeA)); reply.Rcode != dns.RcodeServerFailure {
			break
		}
	}
	if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
		t.Errorf("%v", reply)
	}
	const far = `NOERROR aa rd ra
answer far.skydns.local. 300 IN CNAME www.example.com.
answer www.example.com. 60 IN A 192.0.2.1`
	if got := show(exchange(t, "udp", d.Addresses()[0].Address, question("far.skydns.local", dns.TypeA))); got != far {
		t.Errorf("got\n%s\nwant\n%s", got, far)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// BenchmarkKeyed answers a packet about keyed names, of which there are 100,000.
func BenchmarkKeyed(b *testing.B) {
	var keys keySpace
	for i := range 100_000 {
		keys.put(fmt.Sprintf("/skydns/local/skydns/s%d/i%d", i/10, i%10), fmt.Sprintf(`{"host":"10.0.%d.%d","port":80}`, i/10%250, i%10))
	}
	var recs records
	u := &udpServer{handler: keyedHandler(b, &recs, &keys)}
	for _, test := range []struct {
		name  string
		qtype uint16
	}{{"s5000.skydns.local", dns.TypeA}, {"s5000.skydns.local", dns.TypeSRV}, {"i5.s5000.skydns.local", dns.TypeA}, {"skydns.local", dns.TypeA}, {"i5.*.skydns.local", dns.TypeA}} {
		b.Run(test.name+" "+dns.TypeToString[test.qtype], func(b *testing.B) {
			m := question(test.name, test.qtype)
			m.SetEdns0(1232, false)
			packet, err := m.Pack()
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				u.fast(dst, packet, netip.Addr{})
			}
		})
	}
}

// TestAliasToWhatHasNotBeenRead: a name that cannot be looked up yet is not denied, though the alias to it is known.
func TestAliasToWhatHasNotBeenRead(t *testing.T) {
	var keys keySpace
	keys.put("/skydns/local/skydns/a", `{"host":"web.service.consul"}`)
	keys.put("/skydns/local/skydns/far", `{"host":"far.example.com"}`)
	tree := keys.tree(t)
	var recs records
	recs.node("host", "10.0.0.1")
	recs.instance("host", "keyed", "keyed", 80).Address = "a.skydns.local"
	r := testResponder(t, func(c *Config) { keyedZones(c); c.Recursors = []string{"192.0.2.1"} })
	for _, test := range []struct {
		name string
		tree *skydns.Tree
		x    *catalog.Index
	}{
		{"a.skydns.local", tree, catalog.New().Index()},
		{"keyed.service.consul", nil, recs.index(t)},
	} {
		r.tree = func() *skydns.Tree { return test.tree }
		if reply, _ := ask(t, r, test.x, question(test.name, dns.TypeA), false, seeded(1)); reply.Rcode != dns.RcodeServerFailure || len(reply.Answer) > 0 {
			t.Errorf("%v", reply)
		}
		// What is not known beside an SRV record is left out.
		if reply, _ := ask(t, r, test.x, question(test.name, dns.TypeSRV), false, seeded(1)); reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
			t.Errorf("%v", reply)
		}
	}

	// Nor is one to which recursors lead back.
	r.tree = func() *skydns.Tree { return tree }
	h := &handler{catalog: catalog.New(), random: seeded(1), responder: r}
	q, _ := readQuery(question("far.skydns.local", dns.TypeA), false)
	a := h.respond(nil, h.catalog.Index(), q, h.random)
	if a.pending == nil {
		t.Fatalf("%x is not to be followed", a.wire)
	}
	a = h.followed(a, []recursor.Record{{Name: a.leads.name(a.wire), Type: dns.TypeCNAME, TTL: 60, Data: []byte("\x03web\x07service\x06consul\x00")}}, dns.RcodeNameError)
	if a.rcode != dns.RcodeServerFailure || a.pending != nil {
		t.Errorf("rcode %d, %x", a.rcode, a.wire)
	}
}
