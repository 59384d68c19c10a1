package dnsserver

import (
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"
)

const (
	headerSize  = 12
	nameAt      = headerSize // where the question's name is in every message
	recordFixed = 10         // type, class, TTL and length of the data
	maxPointer  = 1<<14 - 1  // the furthest a compression pointer reaches
	maxMessage  = 1<<16 - 1
	optFixed    = 11 // an OPT record without options
)

// The flags of a header.
const (
	flagQR = 1 << 15
	flagAA = 1 << 10
	flagTC = 1 << 9
	flagRD = 1 << 8
	flagRA = 1 << 7
	flagCD = 1 << 4
)

// message is an answer being written. Records go to it one at a time, and what
// does not fit is taken back: answers to body, after the header and question,
// and additional records to extra, which follows in the end. Additional
// records may point into body, since nothing there moves.
//
// Every name that a record belongs to is given as the place in body of an
// equal name, so that it is written as a pointer; names within records are
// written out, as RFC 2782 wants of an SRV's target.
type message struct {
	body  []byte
	extra []byte
	// limit is how many bytes the message may have, and reserved how many
	// of them the OPT record takes.
	limit    int
	reserved int

	questions, answers, authority, additional int
	// truncated says that an answer was left out.
	truncated bool
}

// mark is a place to go back to.
type mark struct {
	body, extra                    int
	answers, authority, additional int
}

func (m *message) mark() mark {
	return mark{len(m.body), len(m.extra), m.answers, m.authority, m.additional}
}

func (m *message) takeBack(k mark) {
	m.body, m.extra = m.body[:k.body], m.extra[:k.extra]
	m.answers, m.authority, m.additional = k.answers, k.authority, k.additional
}

// fits reports whether what was written is within the limit.
func (m *message) fits() bool { return len(m.body)+len(m.extra)+m.reserved <= m.limit }

// begin starts a message with room for a header, and the question if the query
// had one that can be given back.
func (m *message) begin(dst []byte, q *query) {
	*m = message{body: append(dst[:0], make([]byte, headerSize)...), extra: m.extra[:0]}
	if len(q.name) > 0 {
		m.questions = 1
		m.body = append(m.body, q.name...)
		m.body = binary.BigEndian.AppendUint16(m.body, q.qtype)
		m.body = binary.BigEndian.AppendUint16(m.body, q.qclass)
	}
	if q.edns.present {
		m.reserved = optFixed + q.edns.optionsSize()
	}
}

// record appends a record's owner and fixed part to b, which is m.body or
// m.extra, with its length to be set by endRecord.
func (m *message) record(b []byte, owner int, rtype uint16, ttl uint32) []byte {
	if owner <= maxPointer {
		b = binary.BigEndian.AppendUint16(b, 0xc000|uint16(owner))
	} else {
		b = append(b, m.name(owner)...)
	}
	b = binary.BigEndian.AppendUint16(b, rtype)
	b = binary.BigEndian.AppendUint16(b, dns.ClassINET)
	b = binary.BigEndian.AppendUint32(b, ttl)
	return append(b, 0, 0)
}

// name is the name that stands, without pointers, at a place in body.
func (m *message) name(at int) []byte {
	end := at
	for m.body[end] != 0 {
		end += 1 + int(m.body[end])
	}
	return m.body[at : end+1]
}

// endRecord sets the length of the record whose data begins at data.
func endRecord(b []byte, data int) {
	binary.BigEndian.PutUint16(b[data-2:], uint16(len(b)-data))
}

// appendAddress appends an A or AAAA record.
func (m *message) appendAddress(b []byte, owner int, ip netip.Addr, ttl uint32) []byte {
	b = m.record(b, owner, addressType(ip), ttl)
	data := len(b)
	if ip.Is4() {
		v4 := ip.As4()
		b = append(b, v4[:]...)
	} else {
		v6 := ip.As16()
		b = append(b, v6[:]...)
	}
	endRecord(b, data)
	return b
}

// addressType is the type of record that an address goes in.
func addressType(ip netip.Addr) uint16 {
	if ip.Is4() {
		return dns.TypeA
	}
	return dns.TypeAAAA
}

// appendText appends a TXT record of as many strings as the text needs. It
// reports false, appending nothing, if no record can hold the text.
func (m *message) appendText(b []byte, owner int, text string, ttl uint32) ([]byte, bool) {
	const most = 255 // bytes of one string
	if len(text)+len(text)/most+1 > maxMessage {
		return b, false
	}
	b = m.record(b, owner, dns.TypeTXT, ttl)
	data := len(b)
	for {
		part := text[:min(len(text), most)]
		b = append(append(b, byte(len(part))), part...)
		if text = text[len(part):]; text == "" {
			break
		}
	}
	endRecord(b, data)
	return b, true
}

// keep counts the answer that was written since k if it fits, and takes it back
// if not, which makes the message a truncated one.
func (m *message) keep(k mark) bool {
	if !m.fits() {
		m.takeBack(k)
		m.truncated = true
		return false
	}
	m.answers++
	return true
}

// finish completes the message with its OPT record and header.
func (m *message) finish(q *query, rcode int, authoritative bool) []byte {
	b := append(m.body, m.extra...)
	additional := m.additional
	if q.edns.present {
		b = appendOPT(b, &q.edns, rcode)
		additional++
	}
	flags := uint16(flagQR | rcode&0xf)
	if authoritative {
		flags |= flagAA
	}
	if m.truncated {
		flags |= flagTC
	}
	if q.recursion {
		flags |= flagRD
	}
	if q.recursive {
		flags |= flagRA
	}
	if q.unchecked {
		flags |= flagCD
	}
	binary.BigEndian.PutUint16(b[0:], q.id)
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint16(b[4:], uint16(m.questions))
	binary.BigEndian.PutUint16(b[6:], uint16(m.answers))
	binary.BigEndian.PutUint16(b[8:], uint16(m.authority))
	binary.BigEndian.PutUint16(b[10:], uint16(additional))
	m.body = b
	return b
}

// appendOPT appends the server's own OPT record, with what of the client's is
// to be given back.
func appendOPT(b []byte, e *edns, rcode int) []byte {
	b = append(b, 0)
	b = binary.BigEndian.AppendUint16(b, dns.TypeOPT)
	b = binary.BigEndian.AppendUint16(b, receiveSize)
	b = append(b, byte(rcode>>4), ednsVersion)
	var flags uint16
	if e.dnssecOK {
		flags = 1 << 15
	}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(e.optionsSize()))
	b = append(b, e.subnet[:e.subnetSize]...)
	b = append(b, e.reply[:e.replySize]...)
	return append(b, e.extended[:e.extendedSize]...)
}
