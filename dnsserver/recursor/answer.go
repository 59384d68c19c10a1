package recursor

import (
	"bytes"
	"encoding/binary"
)

// match reads what came from a recursor. It reports false if that is not an answer
// to the question, and an error if it is one that cannot be used. An answer that is longer
// than was taken (cut), or cannot be read to its end and says itself that it is
// truncated, comes back without records and with the TC bit set.
func (q *question) match(raw []byte, id uint16, cut bool) (m *message, ok bool, err error) {
	m, err = readHead(raw)
	if err != nil || m.id() != id || m.flags()&flagQR == 0 || m.flags()&opcodeMask != 0 {
		return nil, false, nil
	}
	if len(m.question) == 0 && m.flags()&rcodeMask == rcodeSuccess {
		return nil, false, nil // only one who could not read the question may leave it out
	}
	if len(m.question) > 0 && !bytes.Equal(m.question, q.asked) {
		return nil, false, nil
	}
	if cut {
		return m.withoutRecords(), true, nil
	}
	if err := m.readRecords(); err != nil {
		if m.flags()&flagTC != 0 {
			return m.withoutRecords(), true, nil
		}
		return nil, true, err
	}
	return m, true, nil
}

// settles reports whether an answer is the last word, rather than a recursor's
// saying that it has none.
func (m *message) settles() bool {
	if len(m.question) == 0 {
		return false
	}
	switch m.rcode() {
	case rcodeSuccess, rcodeNameError, rcodeYXDomain:
		return true
	}
	return false
}

// refusesEDNS reports whether an answer is what a server says to an OPT record that has never heard of it.
func (m *message) refusesEDNS() bool {
	return m.edns == nil && (m.rcode() == rcodeFormatError || m.rcode() == rcodeNotImplemented)
}

// answer writes what the client is sent: the records as they came, under the
// client's id, with an OPT record of this server's own if the client sent one. It
// is from a server that is not the authority, and offers recursion.
func (q *question) answer(m *message) []byte {
	var options []byte
	var extended int
	if m.edns != nil {
		options, _, _ = passedOn(nil, m.edns.options)
		extended = m.edns.extended
	}
	if size := m.body + optFixed + len(options); q.edns && size > q.limit || m.body > q.limit {
		m, options = m.withoutRecords(), nil
	}
	b := make([]byte, m.body, m.body+optFixed+len(options)+cookieRoom)
	copy(b, m.raw)
	additional := m.additional
	if q.edns {
		b = appendOPT(b, receiveSize, extended, q.ednsFlags, options)
		additional++
	}
	binary.BigEndian.PutUint16(b, q.id)
	binary.BigEndian.PutUint16(b[2:], m.flags()&^(flagAA|flagRD|flagCD)|flagRA|q.flags)
	binary.BigEndian.PutUint16(b[10:], uint16(additional))
	return b
}
