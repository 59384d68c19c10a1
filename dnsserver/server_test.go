package dnsserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"herald/registry/catalog"
	"herald/registry/plugin"

	"github.com/miekg/dns"
)

func testHost(c *catalog.Catalog) *plugin.Host {
	return &plugin.Host{
		Node: "n0", Datacenter: "dc1", Catalog: c, Log: quiet(), Metrics: &tally{}, DrainTimeout: 2 * time.Second,
	}
}

// openDoor opens a door on a free port of loopback.
func openDoor(t testing.TB, h *plugin.Host, change func(*Config)) *Door {
	t.Helper()
	d := New()
	c := d.Config().(*Config)
	c.Address = "127.0.0.1:0"
	if change != nil {
		change(c)
	}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := d.Open(context.Background(), h); err != nil {
		t.Fatal(err)
	}
	return d
}

// run runs a door until the test is over, or stop is called, which returns what Run did.
func run(t testing.TB, d *Door) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		err = d.Run(ctx)
	}()
	stop = func() error {
		cancel()
		<-ended
		return err
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return stop
}

func exchange(t testing.TB, network, address string, m *dns.Msg) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network, UDPSize: 65535}
	reply, _, err := c.Exchange(m, address)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestServesUDPAndTCP(t *testing.T) {
	var recs records
	recs.fleet("web", 100)
	d := openDoor(t, testHost(recs.catalog(t)), nil)
	addresses := d.Addresses()
	if len(addresses) != 2 || addresses[0].Network != "udp" || addresses[1].Network != "tcp" ||
		addresses[0].Address != addresses[1].Address || strings.HasSuffix(addresses[0].Address, ":0") {
		t.Fatalf("listens on %v", addresses)
	}
	stop := run(t, d)
	at := addresses[0].Address

	// The case of the question comes back (it is a weak cookie to some resolvers).
	m := question("wEb.SerVIce.cONsuL", dns.TypeA)
	over := exchange(t, "udp", at, m)
	if !over.Truncated || over.Question[0] != m.Question[0] || over.Answer[0].Header().Name != m.Question[0].Name {
		t.Errorf("over UDP: %v", over)
	}
	over = exchange(t, "tcp", at, m)
	if over.Truncated || len(over.Answer) != 100 {
		t.Errorf("over TCP: %d records, TC %v", len(over.Answer), over.Truncated)
	}

	// Several queries on one connection, sent before the first answer is read.
	conn, err := dns.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const many = 300
	for range many {
		if err := conn.WriteMsg(question("web-n1.node.consul", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
	}
	for range many {
		if reply, err := conn.ReadMsg(); err != nil || len(reply.Answer) != 1 {
			t.Fatalf("%v %v", reply, err)
		}
	}

	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := dns.Dial("tcp", at); err == nil {
		t.Error("still listens")
	}
}

func TestOpenSaysWhatIsTaken(t *testing.T) {
	host := testHost(catalog.New())
	taken := openDoor(t, host, nil)
	run(t, taken)
	at := taken.Addresses()[0].Address

	d := New()
	d.config.Address = at
	var listen *plugin.ListenError
	if err := d.Open(context.Background(), host); !errors.As(err, &listen) || listen.Setting != "address" || listen.Address != at {
		t.Errorf("a taken port: %v", err)
	}

	// One whose TCP half alone is taken leaves nothing bound either.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d.config.Address = l.Addr().String()
	if err := d.Open(context.Background(), host); !errors.As(err, &listen) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port taken for TCP: %v", err)
	}
	u, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Errorf("the UDP port is still bound: %v", err)
	} else {
		u.Close()
	}
}

// TestDrain: idle connections end at once, and a client that does not read its
// answers holds the end up no longer than the time to drain.
func TestDrain(t *testing.T) {
	var recs records
	recs.fleet("web", 3000)
	host := testHost(recs.catalog(t))
	host.DrainTimeout = 100 * time.Millisecond
	d := openDoor(t, host, nil)
	stop := run(t, d)
	at := d.Addresses()[1].Address

	idle, err := dns.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if err := idle.WriteMsg(question("web-n1.node.consul", dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.ReadMsg(); err != nil {
		t.Fatal(err)
	}

	deaf, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	wire, err := question("web.service.consul", dns.TypeSRV).Pack()
	if err != nil {
		t.Fatal(err)
	}
	wire = append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)
	// Answers of 64 KiB each fill the socket buffers; writing on until the server
	// reads no more makes sure that it is stuck in a write.
	for {
		deaf.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		if _, err := deaf.Write(bytes.Repeat(wire, 1000)); err != nil {
			break
		}
	}

	start := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v to end", took)
	}
	idle.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := idle.ReadMsg(); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection: %v", err)
	}
}

func TestStopBeforeStart(t *testing.T) {
	for range 20 {
		d := openDoor(t, testHost(catalog.New()), nil)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := d.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOneSocketLost: a door that has lost a socket says so and ends whole.
func TestOneSocketLost(t *testing.T) {
	d := openDoor(t, testHost(catalog.New()), nil)
	d.closers[0].Close()
	if err := d.Run(context.Background()); err == nil {
		t.Error("no error")
	}
	if _, err := net.Dial("tcp", d.Addresses()[1].Address); err == nil {
		t.Error("still listens on TCP")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	var recs records
	recs.fleet("web", 1)
	d := openDoor(t, testHost(recs.catalog(t)), func(c *Config) { c.TCPConnections = 2 })
	run(t, d)
	at := d.Addresses()[1].Address
	works := func(c *dns.Conn) bool {
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if c.WriteMsg(question("web.service.consul", dns.TypeA)) != nil {
			return false
		}
		_, err := c.ReadMsg()
		return err == nil
	}
	var conns []*dns.Conn
	for range 3 {
		c, err := dns.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
		if got, want := works(c), len(conns) <= 2; got != want {
			t.Fatalf("connection %d works: %v", len(conns), got)
		}
	}
	// The place of one that ends is free for another, once the server noticed.
	conns[0].Close()
	for range 1000 {
		c, err := dns.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		ok := works(c)
		c.Close()
		if ok {
			return
		}
	}
	t.Error("the place of a closed connection is not free again")
}

// TestHostilePackets sends what no client should, to both sockets, and then asks.
func TestHostilePackets(t *testing.T) {
	d := openDoor(t, testHost(variety().catalog(t)), nil)
	run(t, d)
	at := d.Addresses()[0].Address
	udp, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	m := question("web.service.consul", dns.TypeSRV)
	m.SetEdns0(4096, true)
	seed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 3000 {
		packet := bytes.Clone(seed)
		for range 1 + random.IntN(8) {
			packet[random.IntN(len(packet))] = byte(random.Uint32())
		}
		packet = packet[:random.IntN(len(packet)+1)]
		if n%10 == 0 {
			packet = append(packet, make([]byte, random.IntN(3000))...)
		}
		if _, err := udp.Write(packet); err != nil {
			t.Fatal(err)
		}
		if n%100 == 0 {
			tcp, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			tcp.Write(binary.BigEndian.AppendUint16(nil, uint16(len(packet))))
			tcp.Write(packet)
			tcp.Close()
		}
	}
	for _, network := range []string{"udp", "tcp"} {
		if reply := exchange(t, network, at, question("six.node.consul", dns.TypeAAAA)); len(reply.Answer) != 1 {
			t.Errorf("%v", reply)
		}
	}
}

func TestRegistered(t *testing.T) {
	for _, info := range plugin.Default.Doors() {
		if info.Name != "dns" {
			continue
		}
		d := info.New()
		if c, ok := d.Config().(*Config); !ok || c.Address != DefaultConfig().Address || c.Domain != "consul." {
			t.Errorf("its settings are %#v", d.Config())
		}
		if err := d.Validate(); err != nil {
			t.Errorf("its defaults: %v", err)
		}
		return
	}
	t.Error("there is no door named dns")
}
