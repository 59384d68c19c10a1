package dnsserver

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
)

// appendName appends a name, written with dots, in wire form. It reports false,
// appending nothing, if the name cannot be one: an empty label, or one of more
// than 63 bytes, or more than 255 bytes in all. A final dot changes nothing.
// Every byte but the dot stands for itself.
func appendName(b []byte, name string) ([]byte, bool) {
	start := len(b)
	b, ok := appendLabels(b, strings.TrimSuffix(name, "."))
	if !ok || len(b)-start+1 > maxName {
		return b[:start], false
	}
	return append(b, 0), true
}

// appendLabels appends the labels of a name, without the final zero.
func appendLabels(b []byte, name string) ([]byte, bool) {
	start := len(b)
	for rest, more := name, true; more; {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		if label == "" || len(label) > maxLabel {
			return b[:start], false
		}
		b = append(b, byte(len(label)))
		b = append(b, label...)
	}
	return b, true
}

// appendLabel appends one label, which is known to be one.
func appendLabel(b []byte, label string) []byte {
	b = append(b, byte(len(label)))
	return append(b, label...)
}

// speller writes the names that answers give.
type speller struct {
	// datacenter is the label that names take for it, or "" if it cannot be one.
	datacenter string
}

// suffix appends the datacenter, if it has a label, and a zone's name.
func (s *speller) suffix(b []byte, z *zone) []byte {
	if s.datacenter != "" {
		b = appendLabel(b, s.datacenter)
	}
	return append(b, z.name...)
}

// node appends <name>.node.<datacenter>.<zone>. It reports false, appending
// nothing, if a node's name cannot be written so.
func (s *speller) node(b []byte, name string, z *zone) ([]byte, bool) {
	return s.under(b, name, labelNode, z)
}

// service appends <name>.service.<datacenter>.<zone>, as node does.
func (s *speller) service(b []byte, name string, z *zone) ([]byte, bool) {
	return s.under(b, name, labelService, z)
}

func (s *speller) under(b []byte, name, kind string, z *zone) ([]byte, bool) {
	start := len(b)
	b, ok := appendLabels(b, name)
	if !ok {
		return b[:start], false
	}
	b = s.suffix(appendLabel(b, kind), z)
	if len(b)-start > maxName {
		return b[:start], false
	}
	return b, true
}

// address appends <hex>.addr.<datacenter>.<zone>.
func (s *speller) address(b []byte, ip netip.Addr, z *zone) []byte {
	b = append(b, byte(2*ip.BitLen()/8))
	if ip.Is4() {
		v4 := ip.As4()
		b = hex.AppendEncode(b, v4[:])
	} else {
		v6 := ip.As16()
		b = hex.AppendEncode(b, v6[:])
	}
	return s.suffix(appendLabel(b, labelAddress), z)
}

// newZone makes a zone of a name written with dots.
func newZone(name string, reverse bool) (zone, error) {
	wire, ok := appendName(nil, name)
	if !ok {
		return zone{}, fmt.Errorf("%q is not a domain name: labels of 1 to %d bytes with dots between, %d bytes in all", name, maxLabel, maxName)
	}
	z := zone{name: wire, reverse: reverse}
	var l labels
	l.split(wire)
	z.labels = l.n
	z.folded = string(l.text[:l.start[l.n]])
	return z, nil
}
