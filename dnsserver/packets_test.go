package dnsserver

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// echo answers the packets of a socket with themselves, after "to " and where they came from, until the test is over;
// those that begin with "later" by another goroutine, which may be when the next have been received.
func echo(t *testing.T, address string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPackets(conn.(*net.UDPConn))
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			n, err := p.receive()
			if err != nil {
				if !stopped(err) {
					t.Error(err)
				}
				return
			}
			for i := range n {
				answer := fmt.Appendf(p.answer(i), "to %s: %s", p.client(i), p.packet(i))
				if len(p.packet(i)) > 5 && string(p.packet(i)[:5]) == "later" {
					send := p.later(i)
					late := answer
					serving.Go(func() {
						if err := send(late); err != nil {
							t.Error(err)
						}
					})
					answer = nil // late has it
				}
				p.setAnswer(i, answer)
			}
			p.flush(n)
		}
	})
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		serving.Wait()
		conn.Close()
	})
	return conn.(*net.UDPConn)
}

func tell(t *testing.T, c net.Conn, packet string) {
	t.Helper()
	if _, err := c.Write([]byte(packet)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn) string {
	t.Helper()
	b := make([]byte, 2048)
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// TestPacketsAreAnsweredToWhoSentThem: many at once, by several clients.
func TestPacketsAreAnsweredToWhoSentThem(t *testing.T) {
	at := echo(t, "127.0.0.1:0").LocalAddr().String()
	var clients sync.WaitGroup
	for n := range 8 {
		c, err := net.Dial("udp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients.Go(func() {
			for round := range 20 {
				want := map[string]bool{}
				for i := range 20 { // few enough for the default socket buffer, whoever is slow
					packet := fmt.Sprintf("client %d, round %d, packet %d", n, round, i)
					want[fmt.Sprintf("to %s: %s", c.LocalAddr(), packet)] = true
					if _, err := c.Write([]byte(packet)); err != nil {
						t.Error(err)
						return
					}
				}
				b := make([]byte, 2048)
				for len(want) > 0 {
					c.SetReadDeadline(time.Now().Add(10 * time.Second))
					size, err := c.Read(b)
					if err != nil {
						t.Errorf("%v; %d answers are missing", err, len(want))
						return
					}
					if !want[string(b[:size])] {
						t.Errorf("answered %q", b[:size])
						return
					}
					delete(want, string(b[:size]))
				}
			}
		})
	}
	clients.Wait()
}

// TestPacketTooLong: what is longer than may be received is cut, and does not reach into another.
func TestPacketTooLong(t *testing.T) {
	at := echo(t, "127.0.0.1:0").LocalAddr().String()
	c, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	long := string(make([]byte, 2*receiveSize))
	tell(t, c, long)
	tell(t, c, "short")
	prefix := fmt.Sprintf("to %s: ", c.LocalAddr())
	if got := hear(t, c); got != prefix+long[:receiveSize] {
		t.Errorf("%d bytes are received as %d", len(long), len(got)-len(prefix))
	}
	if got := hear(t, c); got != prefix+"short" {
		t.Errorf("then: %q", got)
	}
}

// TestSeveralAddresses: the door answers on each of them, by UDP and TCP.
func TestSeveralAddresses(t *testing.T) {
	var recs records
	recs.fleet("web", 1)
	d := openDoor(t, testHost(recs.catalog(t)), func(c *Config) { c.FurtherAddresses = []string{"127.0.0.2:0", "[::1]:0"} })
	run(t, d)
	addresses := d.Addresses()
	if len(addresses) != 6 {
		t.Fatalf("listens on %v", addresses)
	}
	for _, a := range addresses {
		if reply := exchange(t, a.Network, a.Address, question("web.service.consul", dns.TypeA)); len(reply.Answer) != 1 {
			t.Errorf("%v: %v", a, reply)
		}
	}
}

// TestAnAddressThatIsTakenAmongSeveral leaves nothing taken.
func TestAnAddressThatIsTakenAmongSeveral(t *testing.T) {
	var recs records
	host := testHost(recs.catalog(t))
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d := New()
	d.config.Address, d.config.FurtherAddresses = "127.0.0.1:0", []string{taken.LocalAddr().String()}
	if err := d.Open(t.Context(), host); err == nil {
		t.Fatal("it opens")
	}
	if len(d.Addresses()) > 0 {
		t.Errorf("has %v", d.Addresses())
	}
}
