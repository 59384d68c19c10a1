//go:build e2e

package dnsclients

import (
	"regexp"
	"slices"
	"testing"
)

func TestDig(t *testing.T) {
	t.Parallel()
	p := filled(t)
	for _, way := range [][]string{nil, {"+tcp"}, {"+noedns"}, {"+bufsize=1232", "+dnssec"}, {"+nocookie"}} {
		for _, q := range questions {
			args := append([]string{"+norecurse", "+time=2", "+tries=1", q.name, q.kind}, way...)
			a := mustAsk(t, "dig", p.DNS, args...)
			q.wantAnswer(t, a)
			if !slices.Contains(a.flags, "aa") {
				t.Errorf("not authoritative:\n%s", a.printed)
			}
		}
	}
	if a := mustAsk(t, "dig", p.DNS, "consul.", "SOA"); len(a.answers) != 1 || !zone.MatchString(a.answers[0]) {
		t.Errorf("want the zone's SOA:\n%s", a.printed)
	}
	if a := mustAsk(t, "dig", p.DNS, "-x", "2001:db8::3"); len(a.answers) != 1 || !regexp.MustCompile(` PTR n3\.node\.dc1\.consul\.$`).MatchString(a.answers[0]) {
		t.Errorf("want n3:\n%s", a.printed)
	}
	if a := mustAsk(t, "dig", p.DNS, "example.org.", "A"); a.status != "REFUSED" {
		t.Errorf("want no word of other zones:\n%s", a.printed)
	}
}

// TestDigMixedCase is what resolvers do against forged answers: the name comes back in the case it was asked in.
func TestDigMixedCase(t *testing.T) {
	t.Parallel()
	p := filled(t)
	const name = "wEb.SeRvIcE.cOnSuL."
	for _, way := range [][]string{nil, {"+tcp"}, {"+noedns"}} {
		a := mustAsk(t, "dig", p.DNS, append([]string{name, "A"}, way...)...)
		if a.question != name || !slices.Equal(a.answers, addressesOf(name, "A", "10.0.1.1", "10.0.2.2")) {
			t.Errorf("want %s as it was asked:\n%s", name, a.printed)
		}
	}
}

// TestDigComesBackByTCP has dig told that there is more than a datagram holds.
func TestDigComesBackByTCP(t *testing.T) {
	t.Parallel()
	p := filled(t)
	want := addressesOf("many.service.consul.", "A", manyAddresses()...)
	for _, way := range []string{"+noedns", "+bufsize=512", "+bufsize=1232"} {
		if a := mustAsk(t, "dig", p.DNS, "+ignore", way, "many.service.consul.", "A"); !slices.Contains(a.flags, "tc") || len(a.answers) == 0 || len(a.answers) >= many {
			t.Errorf("%s: want some, and that there are more:\n%s", way, a.printed)
		}
		if a := mustAsk(t, "dig", p.DNS, way, "many.service.consul.", "A"); slices.Contains(a.flags, "tc") || !slices.Equal(a.answers, want) {
			t.Errorf("%s: want all, in the end:\n%s", way, a.printed)
		}
	}
	if a := mustAsk(t, "dig", p.DNS, "+ignore", "+bufsize=4096", "many.service.consul.", "A"); slices.Contains(a.flags, "tc") || !slices.Equal(a.answers, want) {
		t.Errorf("want all in one datagram of 4096 bytes:\n%s", a.printed)
	}
}

// TestDigCookie has dig find its own cookie in the answer, beside one of the server's, and give that back.
func TestDigCookie(t *testing.T) {
	t.Parallel()
	p := filled(t)
	cookie := regexp.MustCompile(`(?m)^; COOKIE: ([0-9a-f]{48}) \(good\)$`)
	first := mustAsk(t, "dig", p.DNS, "+cookie=0123456789abcdef", "web.service.consul.", "A")
	got := cookie.FindStringSubmatch(first.printed)
	if got == nil || got[1][:16] != "0123456789abcdef" {
		t.Fatalf("want a cookie:\n%s", first.printed)
	}
	again := mustAsk(t, "dig", p.DNS, "+cookie="+got[1], "web.service.consul.", "A")
	if !cookie.MatchString(again.printed) || again.status != "NOERROR" || len(again.answers) != 2 {
		t.Errorf("want the cookie to be taken:\n%s", again.printed)
	}
}
