package dnsserver

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// otherServer is a recursor that answers every A question with 192.0.2.53, those for slow.example. when it may.
func otherServer(t *testing.T, may <-chan struct{}) string {
	t.Helper()
	return serverWith(t, func(w dns.ResponseWriter, r *dns.Msg) {
		if r.Question[0].Name == "slow.example." {
			<-may
		}
		m := new(dns.Msg)
		m.SetReply(r)
		m.RecursionAvailable = true
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 53)}}
		if r.IsEdns0() != nil {
			m.SetEdns0(1232, false)
		}
		_ = w.WriteMsg(m) // the client may have gone
	})
}

// serverWith is a server that answers so, over UDP and TCP.
func serverWith(t *testing.T, answer dns.HandlerFunc) string {
	t.Helper()
	udp, tcp, err := bind(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	servers := []*dns.Server{{PacketConn: udp, Handler: answer}, {Listener: tcp, Handler: answer}}
	for _, s := range servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		serving.Go(func() { _ = s.ActivateAndServe() })
		<-started
	}
	t.Cleanup(func() {
		for _, s := range servers {
			_ = s.Shutdown()
		}
		serving.Wait()
	})
	return udp.LocalAddr().String()
}

// TestRecursors: names outside the zones are answered by recursors, by UDP and TCP, and nobody waits for them who asks for ours.
func TestRecursors(t *testing.T) {
	var recs records
	recs.fleet("web", 1)
	may := make(chan struct{})
	d := openDoor(t, testHost(recs.catalog(t)), func(c *Config) { c.Recursors = []string{otherServer(t, may)} })
	run(t, d)
	for _, a := range d.Addresses() {
		m := question("www.example.com", dns.TypeA)
		reply := exchange(t, a.Network, a.Address, m)
		if len(reply.Answer) != 1 || addressOf(reply.Answer[0]) != "192.0.2.53" || !reply.RecursionAvailable || reply.Id != m.Id {
			t.Errorf("%s: %v", a.Network, reply)
		}
		m.SetEdns0(1232, false)
		if reply = exchange(t, a.Network, a.Address, m); len(reply.Answer) != 1 || reply.IsEdns0() == nil {
			t.Errorf("%s, EDNS: %v", a.Network, reply)
		}
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
		reply = exchange(t, a.Network, a.Address, m)
		if opt := reply.IsEdns0(); len(reply.Answer) != 1 || opt == nil || len(opt.Option) != 1 || len(opt.Option[0].(*dns.EDNS0_COOKIE).Cookie) != 2*24 {
			t.Errorf("%s, a cookie: %v", a.Network, reply)
		}
		m.RecursionDesired = false
		if reply = exchange(t, a.Network, a.Address, m); reply.Rcode != dns.RcodeRefused {
			t.Errorf("%s, without RD: %v", a.Network, reply)
		}
		if reply = exchange(t, a.Network, a.Address, question("web.service.consul", dns.TypeA)); len(reply.Answer) != 1 || !reply.RecursionAvailable || !reply.Authoritative {
			t.Errorf("%s, a name of ours: %v", a.Network, reply)
		}
	}

	at := d.Addresses()[0].Address
	slow, err := dns.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	for range 2 * batchSize {
		m := question("slow.example", dns.TypeA)
		if err := slow.WriteMsg(m); err != nil {
			t.Fatal(err)
		}
		if reply := exchange(t, "udp", at, question("web.service.consul", dns.TypeA)); len(reply.Answer) != 1 {
			t.Fatalf("%v", reply)
		}
	}
	close(may)
	slow.SetReadDeadline(time.Now().Add(10 * time.Second))
	for n := range 2 * batchSize {
		if reply, err := slow.ReadMsg(); err != nil || len(reply.Answer) != 1 {
			t.Fatalf("slow answer %d: %v %v", n, reply, err)
		}
	}
}

// TestRecursorThatIsNotThere: the client is told, and why, and the metrics say so.
func TestRecursorThatIsNotThere(t *testing.T) {
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	var recs records
	host, counts := testHost(recs.catalog(t)), &tally{}
	host.Metrics = counts
	d := openDoor(t, host, func(c *Config) {
		c.Recursors, c.RecursorTimeout = []string{gone.LocalAddr().String()}, 500*time.Millisecond
	})
	run(t, d)
	for _, a := range d.Addresses() {
		m := question("www.example.com", dns.TypeA)
		m.SetEdns0(1232, false)
		reply := exchange(t, a.Network, a.Address, m)
		opt := reply.IsEdns0()
		if reply.Rcode != dns.RcodeServerFailure || opt == nil || len(opt.Option) != 1 || reply.Question[0] != m.Question[0] {
			t.Fatalf("%s: %v", a.Network, reply)
		}
		if e, ok := opt.Option[0].(*dns.EDNS0_EDE); !ok || e.ExtraText == "" {
			t.Errorf("%s: %v", a.Network, opt)
		}
	}
	if n := counts.of("herald_dns_recursor_failures_total " + gone.LocalAddr().String()); n != len(d.Addresses()) {
		t.Errorf("%d failures are counted", n)
	}
}

// TestStopWhileRecursorsAreAsked: the end of the door does not wait for them.
func TestStopWhileRecursorsAreAsked(t *testing.T) {
	may := make(chan struct{})
	defer close(may)
	var recs records
	d := openDoor(t, testHost(recs.catalog(t)), func(c *Config) { c.Recursors, c.RecursorTimeout = []string{otherServer(t, may)}, time.Minute })
	stop := run(t, d)
	c, err := dns.Dial("udp", d.Addresses()[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.WriteMsg(question("slow.example", dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	exchange(t, "udp", d.Addresses()[0].Address, question("www.example", dns.TypeA)) // the one before has been received, too
	start := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v to end", took)
	}
}
