package recursor

import (
	"encoding/binary"
	"errors"
)

const (
	headerSize = 12
	// plainSize is how large a UDP answer may be without EDNS.
	plainSize   = 512
	maxMessage  = 1<<16 - 1
	maxName     = 255
	optFixed    = 11 // an OPT record without options
	recordFixed = 10 // type, class, TTL and length of the data

	typeOPT  = 41
	typeIXFR = 251
	typeAXFR = 252
	classIN  = 1
)

// The flags of a header.
const (
	flagQR     = 1 << 15
	flagAA     = 1 << 10
	flagTC     = 1 << 9
	flagRD     = 1 << 8
	flagRA     = 1 << 7
	flagAD     = 1 << 5
	flagCD     = 1 << 4
	opcodeMask = 0xf << 11
	rcodeMask  = 0xf
)

// The codes of responses that matter here.
const (
	rcodeSuccess        = 0
	rcodeFormatError    = 1
	rcodeServerFailure  = 2
	rcodeNameError      = 3
	rcodeNotImplemented = 4
	rcodeYXDomain       = 6 // a DNAME makes the name too long
)

var errMalformed = errors.New("malformed")

// message is where the parts of a message are. It does not change.
type message struct {
	raw []byte
	// question is the question's bytes: name, type and class. It is empty if there
	// is none.
	question []byte
	// body is where the records end that can be given on as they are: in front of
	// the OPT record. additional is how many of them are in the additional section.
	body, additional int
	edns             *edns // nil without an OPT record
}

// edns is what an OPT record says.
type edns struct {
	size     int // of the largest UDP message that the sender takes
	extended int // the upper bits of the rcode
	version  uint8
	flags    uint16
	options  []byte
}

func (m *message) id() uint16    { return binary.BigEndian.Uint16(m.raw) }
func (m *message) flags() uint16 { return binary.BigEndian.Uint16(m.raw[2:]) }

// count is the number of records in a section: 0 is questions, 3 additional ones.
func (m *message) count(section int) int {
	return int(binary.BigEndian.Uint16(m.raw[4+2*section:]))
}

// rcode is the whole code of a response.
func (m *message) rcode() int {
	code := int(m.flags() & rcodeMask)
	if m.edns != nil {
		code |= m.edns.extended << 4
	}
	return code
}

// readHead reads a message as far as its question.
func readHead(raw []byte) (*message, error) {
	if len(raw) < headerSize {
		return nil, errMalformed
	}
	m := &message{raw: raw, body: headerSize}
	switch m.count(0) {
	case 0:
		return m, nil
	case 1:
	default:
		return nil, errMalformed
	}
	end := skipLabels(raw, headerSize)
	if end < 0 || end+4 > len(raw) {
		return nil, errMalformed
	}
	m.body = end + 4
	m.question = raw[headerSize:m.body]
	return m, nil
}

// readMessage reads a message whole.
func readMessage(raw []byte) (*message, error) {
	m, err := readHead(raw)
	if err != nil {
		return nil, err
	}
	return m, m.readRecords()
}

// readRecords finds where the records end and what the OPT record says. Additional
// records that follow the OPT record are not among those to be given on, since names in them
// would have to be written anew; they are no more than a courtesy (RFC 2181 section 9).
func (m *message) readRecords() error {
	at := m.body
	for section := 1; section <= 3; section++ {
		for range m.count(section) {
			start := at
			if at = skipName(m.raw, at); at < 0 || at+recordFixed > len(m.raw) {
				return errMalformed
			}
			fixed := m.raw[at : at+recordFixed]
			at += recordFixed + int(binary.BigEndian.Uint16(fixed[8:]))
			if at > len(m.raw) {
				return errMalformed
			}
			switch opt := binary.BigEndian.Uint16(fixed) == typeOPT; {
			case opt && (section != 3 || m.edns != nil || m.raw[start] != 0):
				return errMalformed
			case opt:
				m.edns = &edns{
					size:     int(binary.BigEndian.Uint16(fixed[2:])),
					extended: int(fixed[4]),
					version:  fixed[5],
					flags:    binary.BigEndian.Uint16(fixed[6:]),
					options:  m.raw[at-int(binary.BigEndian.Uint16(fixed[8:])) : at],
				}
			case m.edns == nil:
				m.body = at
				if section == 3 {
					m.additional++
				}
			}
		}
	}
	return nil
}

// withoutRecords is the message as far as its question, with the TC bit set.
func (m *message) withoutRecords() *message {
	raw := make([]byte, headerSize+len(m.question))
	copy(raw, m.raw)
	clear(raw[6:headerSize])
	binary.BigEndian.PutUint16(raw[2:], m.flags()|flagTC)
	return &message{raw: raw, question: raw[headerSize:], body: len(raw)}
}

// skipLabels returns where the name at a place ends, which is spelled out, or -1.
func skipLabels(b []byte, at int) int {
	for start := at; at < len(b) && b[at] < 64 && at-start < maxName; {
		n := int(b[at])
		at += 1 + n
		if n == 0 {
			return at
		}
	}
	return -1
}

// skipName returns where the name at a place ends, or -1. Where a pointer leads
// does not matter for that.
func skipName(b []byte, at int) int {
	for start := at; at < len(b) && at-start < maxName; {
		switch n := int(b[at]); {
		case n == 0:
			return at + 1
		case n >= 0xc0:
			if at+2 > len(b) {
				return -1
			}
			return at + 2
		case n < 64:
			at += 1 + n
		default:
			return -1
		}
	}
	return -1
}
