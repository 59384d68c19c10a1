package recursor

import (
	"encoding/binary"
	"fmt"
	"slices"
)

const (
	// receiveSize is the UDP size that OPT records here say is taken from clients.
	receiveSize = 1232
	// streamSize is the UDP size that a recursor is told where more can be had over
	// TCP: one that no network has to take apart.
	streamSize = 1232
	// cookieRoom is how much of an answer is kept free for this server's own cookie.
	cookieRoom = optionHeader + 24
)

// question is what a recursor is asked, and what its answer is to be like.
type question struct {
	// packet is the query that is sent, with the id 0.
	packet []byte
	asked  []byte // name, type and class, within packet
	// flags are those of the client's query that its answer gives back.
	flags uint16
	// id is that of the client's query.
	id uint16
	// edns says that the answer has an OPT record, and ednsFlags what flags.
	edns      bool
	ednsFlags uint16
	// size is how large a UDP packet may come from the recursor, and limit how large
	// the answer may be.
	size, limit int
	stream      bool
}

// readQuestion takes the question from a client's query. The query that goes on has
// nothing of the client's that was not understood.
func readQuestion(query []byte, stream bool, udpMax int) (*question, error) {
	m, err := readMessage(query)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrQuery, err)
	}
	if m.flags()&(flagQR|opcodeMask) != 0 || len(m.question) == 0 || m.count(1) > 0 || m.count(2) > 0 {
		return nil, fmt.Errorf("%w: it is an answer, another operation, or has no question", ErrQuery)
	}
	if t := binary.BigEndian.Uint16(m.question[len(m.question)-4:]); t == typeAXFR || t == typeIXFR {
		return nil, fmt.Errorf("%w: zones are not transferred", ErrQuery)
	}
	q := &question{
		id:     m.id(),
		flags:  m.flags() & (flagRD | flagCD),
		stream: stream,
		size:   plainSize,
		limit:  plainSize,
	}
	if stream {
		q.limit = maxMessage
	}
	var options []byte
	if m.edns != nil {
		if m.edns.version != 0 {
			return nil, fmt.Errorf("%w: EDNS version %d", ErrQuery, m.edns.version)
		}
		var cookie bool
		if options, cookie, err = passedOn(nil, m.edns.options); err != nil {
			return nil, fmt.Errorf("%w: options %w", ErrQuery, err)
		}
		q.edns, q.ednsFlags = true, m.edns.flags
		if !stream {
			q.limit = max(plainSize, min(m.edns.size, udpMax))
		}
		if cookie {
			q.limit -= cookieRoom
		}
		q.size = streamSize
		if !stream {
			q.size = max(plainSize, q.limit)
		}
	}
	q.write(m.flags()&(flagRD|flagCD|flagAD), m.question, options)
	return q, nil
}

// newQuestion is a question of this server's own.
func newQuestion(name []byte, qtype uint16) (*question, error) {
	if skipLabels(name, 0) != len(name) {
		return nil, fmt.Errorf("%w: its name is malformed", ErrQuery)
	}
	asked := binary.BigEndian.AppendUint16(slices.Clone(name), qtype)
	asked = binary.BigEndian.AppendUint16(asked, classIN)
	q := &question{flags: flagRD, stream: true, edns: true, size: streamSize, limit: maxMessage}
	q.write(flagRD, asked, nil)
	return q, nil
}

// write makes the packet.
func (q *question) write(flags uint16, asked, options []byte) {
	b := make([]byte, headerSize, headerSize+len(asked)+optFixed+len(options))
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint16(b[4:], 1)
	b = append(b, asked...)
	if q.edns {
		binary.BigEndian.PutUint16(b[10:], 1)
		b = appendOPT(b, q.size, 0, q.ednsFlags, options)
	}
	q.packet, q.asked = b, b[headerSize:headerSize+len(asked)]
}

// extended reports whether the packet has an OPT record.
func (q *question) extended() bool { return len(q.packet) > headerSize+len(q.asked) }

// plain is the same question without EDNS, for a client who is answered as before.
func (q *question) plain() *question {
	p := *q
	p.packet = slices.Clone(q.packet[:headerSize+len(q.asked)])
	clear(p.packet[10:headerSize]) // there are no additional records
	p.asked = p.packet[headerSize:]
	p.size = plainSize
	return &p
}

// key is equal for questions that the same answer can be given to.
func (q *question) key() string {
	b := append([]byte{0}, q.packet[2:]...)
	if q.stream {
		b[0] = 1
	}
	// Below the least size there is, the recursor is told of one and the client takes another.
	return string(binary.BigEndian.AppendUint16(b, uint16(q.limit)))
}
