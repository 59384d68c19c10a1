package dnsserver

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
)

// kind is what sort of thing a name names.
type kind uint8

const (
	// kindOutside is a name in none of our zones.
	kindOutside kind = iota
	// kindAbsent is a name that nothing could be registered under.
	kindAbsent
	// kindHollow is a name that holds nothing and has names beneath it, such as
	// service.consul. RFC 8020: it exists.
	kindHollow
	// kindApex is a zone itself.
	kindApex
	// kindServers is the name that the SOA gives for the primary server.
	kindServers
	// kindService is a service, or those of its instances that have a tag.
	kindService
	// kindNode is a node.
	kindNode
	// kindAddress is an address, spelled in hex.
	kindAddress
	// kindReverse is an address, as the reverse zones spell it.
	kindReverse
	// kindQuery is a prepared query.
	kindQuery
	// kindKeyed is a name in a zone whose records are keys of the store, or that zone itself.
	kindKeyed
)

// lookup is what a name asks for. It is filled in place, and not copied.
type lookup struct {
	labels labels
	kind   kind
	zone   *zone
	// zoneAt is where the zone's own labels begin, within the name's wire form.
	zoneAt int
	// name is the service's or the node's, tag a service's tag or empty. All are
	// in lower case, and lie in labels.
	name []byte
	tag  []byte
	// address is for kindAddress and kindReverse.
	address netip.Addr
}

// zone is a part of the name space that the door answers for.
type zone struct {
	// name is the zone's in wire form, folded what it is compared by.
	name   []byte
	folded string
	// labels is how many labels it has.
	labels  int
	reverse bool
	// keyed says that its records are keys of the store, in SkyDNS's form; pointers, that hosts there are what PTR records
	// name, and nobody's aliases.
	keyed, pointers bool
}

const (
	maxName   = 255 // bytes of a name in wire form, the final zero included
	maxLabel  = 63
	maxLabels = 127
)

// The reverse zones, and how they are compared.
const (
	reverseIPv4       = "in-addr.arpa"
	reverseIPv6       = "ip6.arpa"
	reverseIPv4Folded = "\x07in-addr\x04arpa"
	reverseIPv6Folded = "\x03ip6\x04arpa"
)

// maxDomain is how long the name of a zone may be, in wire form: an address under
// it, with a datacenter, still has a name.
const maxDomain = maxName - (1 + 32) - (1 + len(labelAddress)) - (1 + maxLabel)

// The labels that say what the labels before them are.
const (
	labelService    = "service"
	labelNode       = "node"
	labelAddress    = "addr"
	labelQuery      = "query"
	labelDatacenter = "dc"
	labelServers    = "ns"
	labelAnyTag     = "_tcp"
)

// names reads names.
type names struct {
	// zones are the zones answered for; where one lies in another, the
	// inner comes first.
	zones []*zone
	// primary is the zone that names are given in where the question has none.
	primary *zone
	// datacenter is the only one there is, in lower case.
	datacenter string
}

// labels is a name in lower case, by label.
type labels struct {
	text  [maxName]byte
	start [maxLabels + 1]uint8
	n     int
}

// split reads a name in wire form. It reports whether name is one, whole and
// without compression.
func (l *labels) split(name []byte) bool {
	if len(name) > maxName {
		return false
	}
	l.n = 0
	for at := 0; at < len(name); {
		size := int(name[at])
		switch {
		case size == 0:
			l.start[l.n] = uint8(at)
			return at == len(name)-1
		case size > maxLabel || at+1+size >= len(name) || l.n == maxLabels:
			return false
		}
		l.text[at] = name[at]
		for i := at + 1; i <= at+size; i++ {
			l.text[i] = lower(name[i])
		}
		l.start[l.n] = uint8(at)
		l.n++
		at += 1 + size
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// at is a label, counted from the left.
func (l *labels) at(i int) []byte {
	return l.text[int(l.start[i])+1 : l.start[i+1]]
}

// is reports whether a label reads so.
func (l *labels) is(i int, word string) bool { return string(l.at(i)) == word }

// underscored reports whether a label is an underscore and something more.
func (l *labels) underscored(i int) bool {
	b := l.at(i)
	return len(b) > 1 && b[0] == '_'
}

// join is the labels from..to-1 with dots between, where they stand: what was the length
// of a label becomes a dot. It reports false if a label contains a dot itself, since
// the result would then read as another name.
func (l *labels) join(from, to int) ([]byte, bool) {
	if from == to {
		return nil, true
	}
	for i := from; i < to; i++ {
		if bytes.IndexByte(l.at(i), '.') >= 0 {
			return nil, false
		}
		if i > from {
			l.text[l.start[i]] = '.'
		}
	}
	return l.text[l.start[from]+1 : l.start[to]], true
}

// parse says in found what a name in wire form asks for.
func (r *names) parse(found *lookup, name []byte) {
	l := &found.labels
	found.kind, found.zone, found.name, found.tag = kindOutside, nil, nil, nil
	if !l.split(name) {
		return
	}
	for _, z := range r.zones {
		first := l.n - z.labels
		if first < 0 || string(l.text[l.start[first]:l.start[l.n]]) != z.folded {
			continue
		}
		found.zone, found.zoneAt = z, int(l.start[first])
		switch {
		case z.keyed:
			found.kind = kindKeyed
		case first == 0:
			found.kind = kindApex
		case z.reverse:
			found.kind = found.parseReverse(first)
		default:
			found.kind = r.parseForward(found, first)
		}
		return
	}
}

// parseForward reads the n labels that stand before a zone:
//
//	what.kind   what.kind.<datacenter>   what.kind.<datacenter>.dc
//
// and _service._tag with the same endings, for which the kind may be left out.
func (r *names) parseForward(found *lookup, n int) kind {
	l := &found.labels
	if n == 1 && l.is(0, labelServers) {
		return kindServers
	}
	if isKind(l, n-1) {
		return found.parseKind(n - 1)
	}
	// The last labels are not a kind: they can only be a datacenter.
	switch {
	case n >= 2 && l.is(n-1, labelDatacenter) && l.is(n-2, r.datacenter):
		n -= 2
	case l.is(n-1, r.datacenter):
		n--
	case n == 1 && (l.is(0, labelDatacenter) || l.is(0, labelAnyTag)):
		return kindHollow
	case n == 2 && l.underscored(0) && l.underscored(1):
		return found.parseUnderscored(kindService)
	default:
		return kindAbsent
	}
	switch {
	case n == 0:
		return kindHollow
	case isKind(l, n-1):
		return found.parseKind(n - 1)
	case n == 1 && l.is(0, labelAnyTag):
		return kindHollow
	case n == 2 && l.underscored(0) && l.underscored(1):
		return found.parseUnderscored(kindService)
	}
	return kindAbsent
}

func isKind(l *labels, i int) bool {
	return l.is(i, labelService) || l.is(i, labelNode) || l.is(i, labelAddress) || l.is(i, labelQuery)
}

// parseKind reads the labels before the label that is the kind.
func (found *lookup) parseKind(at int) kind {
	l := &found.labels
	if at == 0 {
		return kindHollow
	}
	var ok bool
	switch {
	case l.is(at, labelNode):
		if found.name, ok = l.join(0, at); !ok {
			return kindAbsent
		}
		return kindNode
	case l.is(at, labelAddress):
		if found.address, ok = parseHex(l.at(0)); !ok || at != 1 {
			return kindAbsent
		}
		return kindAddress
	case at == 1 && l.is(0, labelAnyTag):
		return kindHollow
	case l.is(at, labelQuery):
		if at == 2 && l.underscored(0) && l.underscored(1) {
			return found.parseUnderscored(kindQuery)
		}
		if found.name, ok = l.join(0, at); !ok {
			return kindAbsent
		}
		return kindQuery
	case at == 2 && l.underscored(0) && l.underscored(1):
		return found.parseUnderscored(kindService)
	}
	var okTag bool
	found.name, ok = l.join(at-1, at)
	found.tag, okTag = l.join(0, at-1)
	if !ok || !okTag {
		return kindAbsent
	}
	return kindService
}

// parseUnderscored reads RFC 2782's _service._tag, of which _tcp is any tag. For a prepared
// query the second label says nothing.
func (found *lookup) parseUnderscored(k kind) kind {
	l := &found.labels
	name, ok := l.join(0, 1)
	tag, okTag := l.join(1, 2)
	if !ok || !okTag {
		return kindAbsent
	}
	found.name = name[1:]
	if k == kindService && string(tag) != labelAnyTag {
		found.tag = tag[1:]
	}
	return k
}

// parseHex reads an address spelled in hex: 8 digits or 32.
func parseHex(digits []byte) (netip.Addr, bool) {
	var ip [16]byte
	if len(digits) != 8 && len(digits) != 32 {
		return netip.Addr{}, false
	}
	n, err := hex.Decode(ip[:], digits)
	if err != nil {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(ip[:n])
}

// parseReverse reads the n labels before in-addr.arpa or ip6.arpa. A part of an
// address is a name that may have others beneath it.
func (found *lookup) parseReverse(n int) kind {
	if found.labels.is(n, "ip6") {
		return found.parseNibbles(n)
	}
	return found.parseOctets(n)
}

func (found *lookup) parseOctets(n int) kind {
	var ip [4]byte
	if n > len(ip) {
		return kindAbsent
	}
	for i := range n {
		octet, ok := parseOctet(found.labels.at(n - 1 - i))
		if !ok {
			return kindAbsent
		}
		ip[i] = octet
	}
	if n < len(ip) {
		return kindHollow
	}
	found.address = netip.AddrFrom4(ip)
	return kindReverse
}

// parseOctet reads 0 to 255, without leading zeros: RFC 1035 has one spelling of each.
func parseOctet(digits []byte) (byte, bool) {
	if len(digits) > 3 || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	n := 0
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return byte(n), n <= 255
}

func (found *lookup) parseNibbles(n int) kind {
	var ip [16]byte
	if n > 2*len(ip) {
		return kindAbsent
	}
	for i := range n {
		digit := found.labels.at(n - 1 - i)
		v := strings.IndexByte("0123456789abcdef", digit[0])
		if len(digit) != 1 || v < 0 {
			return kindAbsent
		}
		ip[i/2] |= byte(v) << (4 * (1 - i%2))
	}
	if n < 2*len(ip) {
		return kindHollow
	}
	found.address = netip.AddrFrom16(ip).Unmap()
	return kindReverse
}
