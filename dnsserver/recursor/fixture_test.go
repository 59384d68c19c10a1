package recursor

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a recursor on a real network: answer is called with each query and the
// network it came over, and writes as many packets as it likes.
func server(t *testing.T, answer func(network string, query *dns.Msg, from net.Addr, write func([]byte))) string {
	t.Helper()
	listener, udp := sockets(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, maxMessage)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dns.Msg
			if err := m.Unpack(buf[:n]); err != nil {
				t.Errorf("a recursor is sent %x: %v", buf[:n], err)
				continue
			}
			answer("udp", &m, from, func(b []byte) { udp.WriteTo(b, from) })
		}
	})
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answerStream(conn, answer)
		}
	})
	t.Cleanup(func() {
		listener.Close()
		udp.Close()
		wg.Wait()
	})
	return listener.Addr().String()
}

// sockets are for TCP and UDP, on one port: the system chooses one that is free for TCP, and perhaps not for UDP.
func sockets(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for try := 1; ; try++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", listener.Addr().String())
		if err == nil {
			return listener, udp
		}
		listener.Close()
		if try == 20 {
			t.Fatal(err)
		}
	}
}

func answerStream(conn net.Conn, answer func(string, *dns.Msg, net.Addr, func([]byte))) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	var m dns.Msg
	if _, err := io.ReadFull(conn, buf); err != nil || m.Unpack(buf) != nil {
		return
	}
	answer("tcp", &m, conn.RemoteAddr(), func(b []byte) {
		conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	})
}

// bubble is a Forwarder whose recursors are functions, in a synctest bubble: each is handed
// the network and the query, and its answer is sent unless it is nil.
func bubble(t *testing.T, c Config, servers map[string]func(network string, query []byte) []byte) *Forwarder {
	t.Helper()
	f := forwarder(t, c)
	f.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		answer := servers[address]
		if answer == nil {
			return nil, &net.OpError{Op: "dial", Net: network, Err: io.ErrClosedPipe}
		}
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			buf := make([]byte, maxMessage)
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			if b := answer(network, buf[:n]); b != nil {
				far.Write(b)
			}
			far.Read(buf) // until the other end is closed
		}()
		return near, nil
	}
	return f
}

func forwarder(t *testing.T, c Config) *Forwarder {
	t.Helper()
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func config(servers ...string) Config {
	c := DefaultConfig()
	c.Servers = servers
	return c
}

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unpack(t testing.TB, b []byte) *dns.Msg {
	t.Helper()
	m := &dns.Msg{}
	if err := m.Unpack(b); err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	return m
}

func queryFor(name string, qtype uint16) *dns.Msg {
	return (&dns.Msg{}).SetQuestion(name, qtype)
}

// reply answers a query with records in their text form.
func reply(t testing.TB, query *dns.Msg, records ...string) *dns.Msg {
	t.Helper()
	m := (&dns.Msg{}).SetReply(query)
	m.RecursionAvailable, m.Compress = true, true
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

// says makes a recursor of a bubble that answers with a code.
func says(t testing.TB, rcode int, records ...string) func(string, []byte) []byte {
	return func(_ string, query []byte) []byte {
		m := reply(t, unpack(t, query), records...)
		m.Rcode = rcode
		return pack(t, m)
	}
}

func silent(string, []byte) []byte { return nil }
