package recursor

import "encoding/binary"

// The options that are between two neighbours, and mean nothing to a third.
const (
	optionNSID      = 3
	optionCookie    = 10
	optionKeepalive = 11
	optionPadding   = 12
)

// optionHeader is the code and length of an option.
const optionHeader = 4

// passedOn appends those of the options that go on to the next server. It
// reports whether there was a cookie among the others.
func passedOn(dst, options []byte) (passed []byte, cookie bool, err error) {
	for len(options) > 0 {
		if len(options) < optionHeader {
			return dst, cookie, errMalformed
		}
		n := optionHeader + int(binary.BigEndian.Uint16(options[2:]))
		if n > len(options) {
			return dst, cookie, errMalformed
		}
		switch binary.BigEndian.Uint16(options) {
		case optionCookie:
			cookie = true
		case optionNSID, optionKeepalive, optionPadding:
		default:
			dst = append(dst, options[:n]...)
		}
		options = options[n:]
	}
	return dst, cookie, nil
}

// appendOPT appends an OPT record.
func appendOPT(b []byte, size, extended int, flags uint16, options []byte) []byte {
	b = append(b, 0)
	b = binary.BigEndian.AppendUint16(b, typeOPT)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = append(b, byte(extended), 0)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(len(options)))
	return append(b, options...)
}

// AddOptions adds options, each with its code and length, to an answer of Forward
// whose query had an OPT record. The answer may be written over. It does nothing if
// the answer would become longer than a message can be; for one cookie, where the
// query had one, there is always room, also in what the client takes.
func AddOptions(answer, options []byte) []byte {
	m, err := readMessage(answer)
	if err != nil || m.edns == nil || len(answer)+len(options) > maxMessage {
		return answer
	}
	// Forward puts the OPT record last, so that its options end the message.
	length := len(answer) - len(m.edns.options) - 2
	binary.BigEndian.PutUint16(answer[length:], uint16(len(m.edns.options)+len(options)))
	return append(answer, options...)
}
