package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// protocol is what is spoken on a connection after the handshake. It is the first byte.
type protocol byte

const (
	protoRaft   protocol = 1
	protoCalls  protocol = 2
	protoStream protocol = 3
)

// handshakeVersion is the format of the handshake and of what follows it, up to what the
// calls carry. A server refuses a newer one than its own, on either side. In version 1
// a follower passed on one command at a time.
const handshakeVersion = 2

// maxHandshake bounds a hello and an answer, in bytes.
const maxHandshake = 4 << 10

// hello is what the dialler says first. Later versions may append fields, which
// are ignored.
type hello struct {
	version   byte
	from      Identity
	advertise string // where others reach the dialler
	want      string // the node it means, "" for any
	method    Method // of a stream
}

// verdict is how a handshake ended.
type verdict byte

const (
	accepted verdict = iota
	// foreign: another cluster, or another server than was meant.
	foreign
	// incompatible: a protocol, format or method this server does not know.
	incompatible
)

// answer is what the one that was dialled says. The order of version, verdict and
// reason is for ever: a server of any version must be able to read why it was refused.
type answer struct {
	version byte
	verdict verdict
	reason  string
	by      Identity
}

func (h *hello) append(b []byte) []byte {
	b = append(b, h.version)
	for _, s := range []string{h.from.Cluster, h.from.Node, h.advertise, h.want} {
		b = appendString(b, s)
	}
	return append(b, byte(h.method))
}

func parseHello(b []byte) (hello, error) {
	p := parser{rest: b}
	h := hello{version: p.version()}
	if h.version > handshakeVersion {
		return h, nil // what follows is for others to read
	}
	h.from.Cluster = p.string()
	h.from.Node = p.string()
	h.advertise = p.string()
	h.want = p.string()
	h.method = Method(p.byte())
	return h, p.err
}

func (a *answer) append(b []byte) []byte {
	b = append(b, a.version, byte(a.verdict))
	for _, s := range []string{a.reason, a.by.Cluster, a.by.Node} {
		b = appendString(b, s)
	}
	return b
}

func parseAnswer(b []byte) (answer, error) {
	p := parser{rest: b}
	a := answer{version: p.version(), verdict: verdict(p.byte()), reason: p.string()}
	if a.version > handshakeVersion {
		return a, p.err
	}
	a.by.Cluster = p.string()
	a.by.Node = p.string()
	return a, p.err
}

// disagree says why two servers must not speak, "" if they may.
func disagree(proto protocol, self, other Identity) string {
	switch {
	case self.Cluster != other.Cluster && self.Cluster != "" && other.Cluster != "":
		return fmt.Sprintf("server %q is part of cluster %s, server %q of cluster %s", self.Node, self.Cluster, other.Node, other.Cluster)
	case proto == protoRaft && self.Cluster == "":
		return fmt.Sprintf("server %q is part of no cluster yet", self.Node)
	case proto == protoRaft && other.Cluster == "":
		return fmt.Sprintf("server %q is part of no cluster yet", other.Node)
	}
	return ""
}

// mistaken says that another server than the wanted one is here, "" if it is the one.
func mistaken(want, node string) string {
	if want == "" || want == node {
		return ""
	}
	return fmt.Sprintf("this is server %q, not %q: has an address moved?", node, want)
}

var errMalformed = errors.New("malformed handshake: is that another program?")

// writeHandshake writes a hello or an answer, with what comes before its length.
func writeHandshake(w io.Writer, before []byte, message []byte) error {
	if len(message) > maxHandshake {
		return fmt.Errorf("a handshake of %d bytes is over the limit of %d: shorten the node's name or address", len(message), maxHandshake)
	}
	b := binary.BigEndian.AppendUint16(before, uint16(len(message)))
	_, err := w.Write(append(b, message...))
	return err
}

// readHandshake reads one message and not a byte more.
func readHandshake(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(size[:])
	if n > maxHandshake {
		return nil, errMalformed
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// parser takes fields off the front of a message; after the first that is not there
// it returns zeroes.
type parser struct {
	rest []byte
	err  error
}

func (p *parser) version() byte {
	v := p.byte()
	if v == 0 {
		p.err = errMalformed
	}
	return v
}

func (p *parser) byte() byte {
	if p.err != nil || len(p.rest) == 0 {
		p.err = errMalformed
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return b
}

func (p *parser) string() string {
	n, used := binary.Uvarint(p.rest)
	if p.err != nil || used <= 0 || n > uint64(len(p.rest)-used) {
		p.err = errMalformed
		return ""
	}
	s := string(p.rest[used : used+int(n)])
	p.rest = p.rest[used+int(n):]
	return s
}
