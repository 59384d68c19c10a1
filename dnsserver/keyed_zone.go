package dnsserver

import (
	"fmt"
	"strings"

	"herald/dnsserver/skydns"
)

// newKeyedZone makes a zone whose records are keys.
func newKeyedZone(name string) (zone, error) {
	z, err := newZone(name, false)
	if err != nil {
		return zone{}, err
	}
	var l labels
	l.split(z.name)
	for i := range l.n {
		if label := string(l.at(i)); skydns.IsWildcard(label) || strings.Contains(label, "/") {
			return zone{}, fmt.Errorf("%q has a label %q, which no key is for; a zone is written as a name, such as skydns.local or 0.0.10.in-addr.arpa", name, label)
		}
	}
	if len(z.name) > maxDomain {
		return zone{}, fmt.Errorf("%q is longer than %d bytes and leaves no room for names under it", name, maxDomain)
	}
	z.keyed = true
	for _, reverse := range []string{reverseIPv4Folded, reverseIPv6Folded} {
		z.pointers = z.pointers || z.folded == reverse || strings.HasSuffix(z.folded, reverse) && l.n > 2
	}
	return z, nil
}
