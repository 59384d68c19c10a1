//go:build e2e

package dnsclients

import (
	"regexp"
	"slices"
	"testing"

	"herald/internal/systemtest/process"
	"herald/registry/plugin/certfile/certtest"
)

func TestKdig(t *testing.T) {
	t.Parallel()
	p := filled(t)
	for _, way := range [][]string{nil, {"+tcp"}, {"+tcp", "+keepopen"}, {"+bufsize=1232", "+cookie"}, {"+padding"}, {"+nsid", "+dnssec"}} {
		for _, q := range questions {
			q.wantAnswer(t, mustAsk(t, "kdig", p.DNS, append([]string{"+time=2", "+retry=0", q.name, q.kind}, way...)...))
		}
	}
	const name = "wEb.SeRvIcE.cOnSuL."
	if a := mustAsk(t, "kdig", p.DNS, "+noidn", name, "A"); a.question != name || !slices.Equal(a.answers, addressesOf(name, "A", "10.0.1.1", "10.0.2.2")) {
		t.Errorf("want %s as it was asked:\n%s", name, a.printed)
	}
	if a := mustAsk(t, "kdig", p.DNS, "-x", "2001:db8::3"); len(a.answers) != 1 || !regexp.MustCompile(` PTR n3\.node\.dc1\.consul\.$`).MatchString(a.answers[0]) {
		t.Errorf("want n3:\n%s", a.printed)
	}
	if a := mustAsk(t, "kdig", p.DNS, "+bufsize=512", "many.service.consul.", "A"); !slices.Equal(a.answers, addressesOf("many.service.consul.", "A", manyAddresses()...)) {
		t.Errorf("want all, by TCP in the end:\n%s", a.printed)
	}
	a := mustAsk(t, "kdig", p.DNS, "+cookie=0123456789abcdef", "web.service.consul.", "A")
	if !regexp.MustCompile(`(?m)^;; COOKIE: 0123456789ABCDEF[0-9A-F]{32}$`).MatchString(a.printed) {
		t.Errorf("want a cookie:\n%s", a.printed)
	}
}

// TestKdigTLS asks over TLS, and would not take another's certificate.
func TestKdigTLS(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	cert, key := authority.Issue("dns.example.org", 2)
	address := process.FreeAddresses(t, 1)[0]
	filled(t, "--dns-tls-address", address, "--dns-tls-cert-file", cert, "--dns-tls-key-file", key)
	for _, q := range questions {
		a := mustAsk(t, "kdig", address, "+time=5", "+retry=0", "+tls-ca="+authority.File, "+tls-hostname=dns.example.org", q.name, q.kind)
		q.wantAnswer(t, a)
		if !regexp.MustCompile(`TLS session \(TLS1\.[23]\)`).MatchString(a.printed) {
			t.Errorf("not over TLS:\n%s", a.printed)
		}
	}
	if a, err := ask("kdig", address, "+time=5", "+retry=0", "+tls-ca="+authority.File, "+tls-hostname=other.example.org", "web.service.consul.", "A"); err == nil {
		t.Errorf("kdig took a certificate for another host, so it does not look at it:\n%s", a.printed)
	}
}
