package dnsserver

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestFlood: of what a client asks over its limit every other query is answered with TC alone and the rest not
// at all; not so over loopback, nor for a client that is known.
func TestFlood(t *testing.T) {
	var recs records
	recs.fleet("web", 1)
	c := DefaultConfig()
	c.MaxQueriesPerSecond = 10
	limiter, err := newLimiter(&c)
	if err != nil {
		t.Fatal(err)
	}
	u := &udpServer{handler: testHandler(t, &recs)}
	u.limiter = limiter
	counts := &tally{}
	u.limited = counts.Counter("limited", "").With()
	m := question("web.service.consul", dns.TypeA)
	m.SetEdns0(1232, false)
	ask := func(from string, cookie []byte) (verdict string, given []byte) {
		t.Helper()
		m.IsEdns0().Option = nil
		if cookie != nil {
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(cookie)}}
		}
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		_, a := u.reply(nil, packet, netip.MustParseAddr(from))
		wire := a.wire
		if len(wire) == 0 {
			return "dropped", nil
		}
		var reply dns.Msg
		if err := reply.Unpack(wire); err != nil {
			t.Fatal(err)
		}
		for _, o := range reply.IsEdns0().Option {
			given, _ = hex.DecodeString(o.(*dns.EDNS0_COOKIE).Cookie)
		}
		switch {
		case reply.Truncated && len(reply.Answer) == 0 && reply.Id == m.Id && reply.Question[0] == m.Question[0]:
			return "slipped", given
		case len(reply.Answer) == 1 && !reply.Truncated:
			return "answered", given
		}
		t.Errorf("%v", &reply)
		return "", nil
	}
	tell := func(what, from string, cookie []byte, n int, want map[string]int) {
		t.Helper()
		got := map[string]int{}
		for range n {
			v, _ := ask(from, cookie)
			got[v]++
		}
		for _, v := range []string{"answered", "slipped", "dropped"} {
			if got[v] != want[v] {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
	}
	_, known := ask("192.0.2.9", []byte("8 bytes!"))
	tell("within the time.Second", "192.0.2.1", nil, 10, map[string]int{"answered": 10})
	tell("over it", "192.0.2.1", nil, 10, map[string]int{"slipped": 5, "dropped": 5})
	tell("another client", "192.0.2.2", nil, 10, map[string]int{"answered": 10})
	tell("over loopback", "127.0.0.1", nil, 100, map[string]int{"answered": 100})
	tell("a known client", "192.0.2.9", known, 100, map[string]int{"answered": 100})
	tell("with a cookie of another", "192.0.2.1", known, 10, map[string]int{"slipped": 5, "dropped": 5})
	tell("with none of the server's", "192.0.2.1", []byte("8 bytes!"), 10, map[string]int{"slipped": 5, "dropped": 5})
	if n := counts.of("limited "); n != 30 {
		t.Errorf("%d are counted, want 30: %v", n, counts.counts)
	}
	u.now += int64(time.Second) / 2
	tell("half a second later", "192.0.2.1", nil, 6, map[string]int{"answered": 5, "dropped": 1})
}
