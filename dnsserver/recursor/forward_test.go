package recursor

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// A client's query goes on without what was meant for this server alone, and the
// answer comes back in the same way.
func TestForward(t *testing.T) {
	var mu sync.Mutex
	var asked []*dns.Msg
	ports := map[string]bool{}
	address := server(t, func(_ string, q *dns.Msg, from net.Addr, write func([]byte)) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, q)
		ports[from.String()] = true
		m := reply(t, q, q.Question[0].Name+" 60 IN A 192.0.2.7")
		m.Authoritative, m.AuthenticatedData = true, true
		opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1400}, Option: []dns.EDNS0{
			&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "00112233445566778899aabbccddeeff"},
			&dns.EDNS0_EDE{InfoCode: 3, ExtraText: "stale"},
		}}
		m.Extra = append(m.Extra, opt)
		write(pack(t, m))
	})
	f := forwarder(t, config(address))

	query := queryFor("ExAmple.org.", dns.TypeA)
	query.AuthenticatedData, query.CheckingDisabled = true, true
	query.SetEdns0(8000, true)
	query.Extra[0].(*dns.OPT).Option = []dns.EDNS0{
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"},
		&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(198, 51, 100, 0).To4()},
		&dns.EDNS0_PADDING{Padding: []byte("    ")},
		&dns.EDNS0_NSID{Code: dns.EDNS0NSID},
	}
	ids := map[uint16]bool{}
	for range 4 {
		b, err := f.Forward(t.Context(), pack(t, query), false)
		if err != nil {
			t.Fatal(err)
		}
		a := unpack(t, b)
		if a.Id != query.Id || !a.Response || !a.RecursionAvailable || !a.RecursionDesired || !a.CheckingDisabled || !a.AuthenticatedData || a.Authoritative || a.Truncated {
			t.Errorf("header %v", a.MsgHdr)
		}
		if a.Question[0].Name != "ExAmple.org." || len(a.Answer) != 1 || a.Answer[0].(*dns.A).A.String() != "192.0.2.7" {
			t.Errorf("answer %v", a)
		}
		opt := a.IsEdns0()
		if opt == nil || opt.UDPSize() != receiveSize || !opt.Do() || len(opt.Option) != 1 || opt.Option[0].Option() != dns.EDNS0EDE {
			t.Errorf("OPT %v", opt)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, q := range asked {
		ids[q.Id] = true
		opt := q.IsEdns0()
		if q.Question[0].Name != "ExAmple.org." || !q.RecursionDesired || !q.CheckingDisabled || !q.AuthenticatedData {
			t.Errorf("asked %v", q)
		}
		if opt == nil || opt.UDPSize() != 4096-cookieRoom || !opt.Do() || len(opt.Option) != 1 || opt.Option[0].Option() != dns.EDNS0SUBNET {
			t.Errorf("asked with OPT %v", opt)
		}
	}
	if len(asked) != 4 || len(ids) < 2 || len(ports) < 2 {
		t.Errorf("%d queries with %d ids from %d ports", len(asked), len(ids), len(ports))
	}
}

func TestForwardWithoutEDNS(t *testing.T) {
	address := server(t, func(_ string, q *dns.Msg, _ net.Addr, write func([]byte)) {
		if q.IsEdns0() != nil {
			t.Error("EDNS that the client did not ask with")
		}
		m := reply(t, q, "a.example. 60 IN A 192.0.2.7")
		m.RecursionAvailable = false
		m.SetEdns0(4096, false)
		write(pack(t, m))
	})
	b, err := forwarder(t, config(address)).Forward(t.Context(), pack(t, queryFor("a.example.", dns.TypeA)), false)
	if err != nil {
		t.Fatal(err)
	}
	if a := unpack(t, b); len(a.Extra) != 0 || len(a.Answer) != 1 || !a.RecursionAvailable {
		t.Errorf("%v", a)
	}
}

// What UDP has no room for, a client that came over TCP gets over TCP, and one that
// came over UDP is told of; in what it takes, whatever the recursor does.
func TestTruncation(t *testing.T) {
	var records []string
	for i := range 200 {
		records = append(records, fmt.Sprintf("big.example. 60 IN A 10.0.0.%d", i))
	}
	for _, c := range []struct {
		name     string
		udp      func(whole *dns.Msg, size int) // what the recursor does over UDP
		stream   bool
		size     uint16 // 0 is without EDNS
		answers  int
		truncate bool
	}{
		{"cut by the recursor, to UDP", func(m *dns.Msg, n int) { m.Truncate(n) }, false, 1232, 74, true},
		{"cut by the recursor, without EDNS", func(m *dns.Msg, n int) { m.Truncate(n) }, false, 0, 30, true},
		{"cut by the recursor, to TCP", func(m *dns.Msg, n int) { m.Truncate(n) }, true, 1232, 200, false},
		{"cut by the recursor, to TCP without EDNS", func(m *dns.Msg, n int) { m.Truncate(n) }, true, 0, 200, false},
		{"empty, to TCP", func(m *dns.Msg, n int) { m.Answer, m.Truncated = nil, true }, true, 1232, 200, false},
		{"larger than it may be, to UDP", func(*dns.Msg, int) {}, false, 1232, 0, true},
		{"larger than it may be, to TCP", func(*dns.Msg, int) {}, true, 1232, 200, false},
		{"whole, to UDP", func(*dns.Msg, int) {}, false, 4096, 200, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := server(t, func(network string, q *dns.Msg, _ net.Addr, write func([]byte)) {
				m := reply(t, q, records...)
				size := plainSize
				if opt := q.IsEdns0(); opt != nil {
					m.SetEdns0(4096, false)
					size = int(opt.UDPSize())
				}
				if network == "udp" {
					c.udp(m, size)
				}
				write(pack(t, m))
			})
			query := queryFor("big.example.", dns.TypeA)
			if c.size > 0 {
				query.SetEdns0(c.size, false)
			}
			b, err := forwarder(t, config(address)).Forward(t.Context(), pack(t, query), c.stream)
			if err != nil {
				t.Fatal(err)
			}
			a := unpack(t, b)
			if a.Truncated != c.truncate || len(a.Answer) < c.answers || c.truncate && len(a.Answer) > c.answers+1 {
				t.Errorf("%d answers, truncated: %v; want %d, %v", len(a.Answer), a.Truncated, c.answers, c.truncate)
			}
			if limit := max(plainSize, int(c.size)); !c.stream && len(b) > limit {
				t.Errorf("%d bytes of %d", len(b), limit)
			}
			if (a.IsEdns0() != nil) != (c.size > 0) {
				t.Errorf("OPT %v", a.IsEdns0())
			}
		})
	}
}

// Only what repeats id and question, in its case, is an answer.
func TestStrays(t *testing.T) {
	strays := func(t *testing.T, q *dns.Msg) [][]byte {
		of := func(change func(m *dns.Msg)) []byte {
			m := reply(t, q, q.Question[0].Name+" 60 IN A 203.0.113.66")
			change(m)
			return pack(t, m)
		}
		return [][]byte{
			nil, {1}, make([]byte, headerSize),
			of(func(m *dns.Msg) { m.Id++ }),
			of(func(m *dns.Msg) { m.Response = false }),
			of(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }),
			of(func(m *dns.Msg) { m.Question[0].Name = strings.ToLower(m.Question[0].Name) }),
			of(func(m *dns.Msg) { m.Question[0].Name = "other.example." }),
			of(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }),
			of(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }),
			of(func(m *dns.Msg) { m.Question = nil }),
			of(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }),
		}
	}
	t.Run("then the answer", func(t *testing.T) {
		address := server(t, func(_ string, q *dns.Msg, _ net.Addr, write func([]byte)) {
			for _, b := range strays(t, q) {
				write(b)
			}
			write(pack(t, reply(t, q, "MiXed.example. 60 IN A 192.0.2.7")))
		})
		b, err := forwarder(t, config(address)).Forward(t.Context(), pack(t, queryFor("MiXed.example.", dns.TypeA)), false)
		if err != nil {
			t.Fatal(err)
		}
		if a := unpack(t, b); len(a.Answer) != 1 || a.Answer[0].(*dns.A).A.String() != "192.0.2.7" {
			t.Errorf("%v", a)
		}
	})
	t.Run("too many", func(t *testing.T) {
		address := server(t, func(_ string, q *dns.Msg, _ net.Addr, write func([]byte)) {
			q.Id++
			for range mostStrays {
				write(pack(t, reply(t, q)))
			}
		})
		c := config(address)
		c.Timeout = maxTimeout
		_, err := forwarder(t, c).Forward(t.Context(), pack(t, queryFor("MiXed.example.", dns.TypeA)), false)
		if err == nil || !strings.Contains(err.Error(), "64 packets that are not the answer") {
			t.Error(err)
		}
	})
}

func TestQueriesNotForwarded(t *testing.T) {
	f := forwarder(t, config("192.0.2.1"))
	good := queryFor("a.example.", dns.TypeA)
	good.SetEdns0(1232, false)
	for name, change := range map[string]func(m *dns.Msg) []byte{
		"answer":     func(m *dns.Msg) []byte { m.Response = true; return pack(t, m) },
		"notify":     func(m *dns.Msg) []byte { m.Opcode = dns.OpcodeNotify; return pack(t, m) },
		"transfer":   func(m *dns.Msg) []byte { m.Question[0].Qtype = dns.TypeAXFR; return pack(t, m) },
		"increment":  func(m *dns.Msg) []byte { m.Question[0].Qtype = dns.TypeIXFR; return pack(t, m) },
		"none":       func(m *dns.Msg) []byte { m.Question = nil; return pack(t, m) },
		"two":        func(m *dns.Msg) []byte { m.Question = append(m.Question, m.Question[0]); return pack(t, m) },
		"records":    func(m *dns.Msg) []byte { m.Answer = reply(t, m, "a.example. A 10.0.0.1").Answer; return pack(t, m) },
		"version":    func(m *dns.Msg) []byte { m.IsEdns0().SetVersion(1); return pack(t, m) },
		"two OPT":    func(m *dns.Msg) []byte { m.Extra = append(m.Extra, m.Extra[0]); return pack(t, m) },
		"cut":        func(m *dns.Msg) []byte { b := pack(t, m); return b[:len(b)-1] },
		"cut header": func(m *dns.Msg) []byte { return pack(t, m)[:headerSize-1] },
		"cut option": func(m *dns.Msg) []byte {
			b := pack(t, m)
			b[len(b)-1] = 3
			return append(b, 0, 8, 0)
		},
	} {
		_, err := f.Forward(t.Context(), change(good.Copy()), true)
		if code, text := ExtendedError(err); err == nil || code != codeOther || text != "not forwarded" {
			t.Errorf("%s: %v, %d %q", name, err, code, text)
		}
	}
}

func TestAddOptions(t *testing.T) {
	cookie := append([]byte{0, optionCookie, 0, 24}, make([]byte, 24)...)
	q := queryFor("a.example.", dns.TypeA)
	q.SetEdns0(1232, false)
	m := reply(t, q)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 3}}
	b := AddOptions(pack(t, m), cookie)
	if got := unpack(t, b).IsEdns0().Option; len(got) != 2 || got[0].Option() != dns.EDNS0EDE || got[1].Option() != optionCookie {
		t.Errorf("%v", got)
	}
	plain := pack(t, reply(t, q))
	if got := AddOptions(plain, cookie); string(got) != string(plain) {
		t.Errorf("options in an answer without OPT: %x", got)
	}
	if got := AddOptions([]byte("short"), cookie); string(got) != "short" {
		t.Errorf("options in what is no answer: %x", got)
	}
	if got := AddOptions(b, make([]byte, maxMessage)); string(got) != string(b) {
		t.Error("an answer longer than there is")
	}
}
