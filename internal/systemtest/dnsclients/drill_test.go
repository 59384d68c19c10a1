//go:build e2e

package dnsclients

import (
	"regexp"
	"slices"
	"testing"
)

func TestDrill(t *testing.T) {
	t.Parallel()
	p := filled(t)
	for _, way := range [][]string{nil, {"-t"}, {"-b", "1232"}, {"-D"}} { // TCP, EDNS, EDNS and DO
		for _, q := range questions {
			q.wantAnswer(t, mustAsk(t, "drill", p.DNS, append(slices.Clone(way), q.name, q.kind)...))
		}
	}
	const name = "wEb.SeRvIcE.cOnSuL."
	if a := mustAsk(t, "drill", p.DNS, name, "A"); a.question != name || !slices.Equal(a.answers, addressesOf(name, "A", "10.0.1.1", "10.0.2.2")) {
		t.Errorf("want %s as it was asked:\n%s", name, a.printed)
	}
	if a := mustAsk(t, "drill", p.DNS, "-x", "2001:db8::3"); len(a.answers) != 1 || !regexp.MustCompile(` PTR n3\.node\.dc1\.consul\.$`).MatchString(a.answers[0]) {
		t.Errorf("want n3:\n%s", a.printed)
	}
	if a := mustAsk(t, "drill", p.DNS, "-a", "many.service.consul.", "A"); !slices.Equal(a.answers, addressesOf("many.service.consul.", "A", manyAddresses()...)) {
		t.Errorf("want all, by way of EDNS or TCP:\n%s", a.printed)
	}
}
