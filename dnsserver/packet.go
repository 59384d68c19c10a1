package dnsserver

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// readPacket takes a query from a packet, without allocating: its name stays in the packet.
// It reads what queries are like: one question, whose name is whole, and at most an OPT record with
// options that ask nothing of the reader. It reports false for everything else, sound or not, which is
// then read by readQuery and must come out the same.
func (q *query) readPacket(packet []byte) bool {
	const (
		notAQuery = 1<<15 | 0xf<<11 // QR, opcode
		qd, an    = 4, 6
		ns, ar    = 8, 10
	)
	if len(packet) < headerSize+1+4 {
		return false
	}
	at := func(i int) uint16 { return binary.BigEndian.Uint16(packet[i:]) }
	flags := at(2)
	if flags&notAQuery != 0 || at(qd) != 1 || at(an) != 0 || at(ns) != 0 || at(ar) > 1 {
		return false
	}
	q.id, q.recursion, q.unchecked = at(0), flags&flagRD != 0, flags&flagCD != 0
	end := headerSize
	for packet[end] != 0 {
		size := int(packet[end])
		end += 1 + size
		if size > maxLabel || end-headerSize >= maxName || end >= len(packet)-4 {
			return false
		}
	}
	end++
	q.name = packet[headerSize:end]
	q.qtype, q.qclass = at(end), at(end+2)
	end += 4
	q.edns = edns{}
	if at(ar) == 1 {
		return q.edns.readOPT(packet[end:])
	}
	return end == len(packet)
}

// readOPT reads the OPT record that b is, and nothing else (RFC 6891 section 6.1).
func (e *edns) readOPT(b []byte) bool {
	if len(b) < optFixed || b[0] != 0 || binary.BigEndian.Uint16(b[1:]) != dns.TypeOPT || int(binary.BigEndian.Uint16(b[9:])) != len(b)-optFixed {
		return false
	}
	e.present = true
	e.size, e.version, e.dnssecOK = binary.BigEndian.Uint16(b[3:]), b[6], b[7]&0x80 != 0
	for b = b[optFixed:]; len(b) > 0; {
		if len(b) < 4 {
			return false
		}
		code, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if size > len(b)-4 {
			return false
		}
		switch code {
		case dns.EDNS0SUBNET:
			if !e.readSubnet(b[:4+size]) {
				return false
			}
		case dns.EDNS0COOKIE:
			if !e.readCookie(b[4 : 4+size]) {
				return false
			}
		case dns.EDNS0NSID, dns.EDNS0PADDING:
		default:
			return false
		}
		b = b[4+size:]
	}
	return true
}

// readSubnet reads a client subnet option, with its code and length.
func (e *edns) readSubnet(option []byte) bool {
	const fixed = 8
	if len(option) < fixed || len(option) > maxSubnet {
		return false
	}
	family, bits, scope := binary.BigEndian.Uint16(option[4:]), int(option[6]), option[7]
	switch {
	case family == 1 && bits <= 32, family == 2 && bits <= 128:
	default:
		return false
	}
	if scope != 0 || len(option) != fixed+(bits+7)/8 {
		return false
	}
	if e.subnetSize == 0 {
		e.subnetSize = uint8(copy(e.subnet[:], option))
	}
	return true
}
