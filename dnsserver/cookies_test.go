package dnsserver

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestCookies: a client that sends a cookie is given one of the server's, which it is then known by; who sends
// none, or asks where they are switched off, gets none.
func TestCookies(t *testing.T) {
	var recs records
	recs.fleet("web", 1)
	x := recs.index(t)
	const own = "0102030405060708"
	client, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	ask := func(r *responder, cookie string, from netip.Addr, now int64) (reply dns.Msg, got string) {
		t.Helper()
		m := question("web.service.consul", dns.TypeA)
		m.SetEdns0(1232, false)
		if cookie != "" {
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie}}
		}
		q, ok := readQuery(m, false)
		if !ok {
			reply.Rcode = dns.RcodeFormatError
			return reply, ""
		}
		q.client, q.now = from, now
		if err := reply.Unpack(r.respond(nil, x, q, seeded(1)).wire); err != nil {
			t.Fatal(err)
		}
		for _, o := range reply.IsEdns0().Option {
			got = o.(*dns.EDNS0_COOKIE).Cookie
		}
		if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
			t.Errorf("with the cookie %q: %v", cookie, &reply)
		}
		return reply, got
	}
	shared := func(c *Config) { c.CookieSecret = "e5e973e5a6b2a43f48e7dc849e37bfcf" }
	a, b := testResponder(t, shared), testResponder(t, shared)
	const now = 1559731985
	_, first := ask(a, own, client, now)
	if len(first) != 48 || !strings.HasPrefix(first, own) {
		t.Fatalf("given %q", first)
	}
	if _, again := ask(b, first, client, now+60); again != first {
		t.Errorf("another server of the same secret gives %q for %q", again, first)
	}
	if _, renewed := ask(a, first, client, now+3000); renewed == first || len(renewed) != 48 {
		t.Errorf("after 50 minutes: %q", renewed)
	}
	if _, elsewhere := ask(a, first, other, now); elsewhere == first || len(elsewhere) != 48 {
		t.Errorf("from another address: %q", elsewhere)
	}
	if _, own := ask(testResponder(t, nil), first, client, now); own == first || len(own) != 48 {
		t.Errorf("a server with a secret of its own: %q", own)
	}
	if _, none := ask(a, "", client, now); none != "" {
		t.Errorf("who sends none is given %q", none)
	}
	if _, none := ask(testResponder(t, func(c *Config) { c.Cookies = false }), own, client, now); none != "" {
		t.Errorf("switched off, %q is given", none)
	}
	for _, bad := range []string{"01", "01020304050607", own + "01", own + strings.Repeat("01", 33)} {
		if reply, _ := ask(a, bad, client, now); reply.Rcode != dns.RcodeFormatError {
			t.Errorf("the cookie %q: %s", bad, dns.RcodeToString[reply.Rcode])
		}
	}
	c := DefaultConfig()
	c.CookieSecret = "not a secret"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "cookie_secret: a cookie secret has 32 hexadecimal digits") {
		t.Errorf("a bad secret: %v", err)
	}
}
