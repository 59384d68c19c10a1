package dnsserver

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

const (
	// ednsVersion is the version of EDNS that is spoken.
	ednsVersion = 0
	// receiveSize is how large a UDP query may be, and what an OPT record says of it.
	receiveSize = 1232
	// maxSubnet is how long a client subnet option may be, with its code and length.
	maxSubnet = 8 + 16
)

// query is all that an answer depends on, apart from the catalog.
type query struct {
	id        uint16
	recursion bool // RD, given back
	unchecked bool // CD, given back
	// name is the question's name in wire form, in the case it was asked in. It
	// may lie in the packet.
	name   []byte
	qtype  uint16
	qclass uint16
	edns   edns
	// recursive says that recursion is available, RA.
	recursive bool
	// stream says that the answer may have 65535 bytes.
	stream bool
	// client is who asks.
	client netip.Addr
	// age is how old the catalog may be, and treeAge the tree of keyed zones.
	age, treeAge time.Duration
	// now is the time, in seconds since 1970, where cookies are to be checked.
	now int64
}

// forwardable reports whether recursors may be asked: there are some, and the client wants it.
func (q *query) forwardable() bool { return q.recursive && q.recursion }

// edns is what the OPT record of a query says.
type edns struct {
	present  bool
	version  uint8
	size     uint16 // of the largest UDP answer that the client takes
	dnssecOK bool   // DO, given back
	// subnet is the client subnet option that the answer carries, whole: the first
	// subnetSize bytes.
	subnet     [maxSubnet]byte
	subnetSize uint8
	// cookie is the data of the client's COOKIE option, which may lie in the packet, and reply the option that
	// the answer carries, in the same way as subnet.
	cookie    []byte
	reply     [maxCookie]byte
	replySize uint8
	// extended is the extended error that the answer carries, in the same way.
	extended     [maxExtended]byte
	extendedSize uint8
}

// readQuery takes a query from a message. It reports false if the message is not
// a well-formed query; what could be read is then enough to say so.
func readQuery(r *dns.Msg, stream bool) (*query, bool) {
	q := &query{id: r.Id, recursion: r.RecursionDesired, unchecked: r.CheckingDisabled, stream: stream}
	if len(r.Question) != 1 {
		return q, false
	}
	var wire [maxName + 1]byte
	end, err := dns.PackDomainName(r.Question[0].Name, wire[:], 0, nil, false)
	if err != nil || end > maxName {
		return q, false
	}
	q.name = append([]byte(nil), wire[:end]...)
	q.qtype, q.qclass = r.Question[0].Qtype, r.Question[0].Qclass
	return q, q.edns.read(r.Extra)
}

// read takes the OPT record, of which there may be one (RFC 6891).
func (e *edns) read(extra []dns.RR) bool {
	for _, rr := range extra {
		opt, ok := rr.(*dns.OPT)
		if !ok {
			continue
		}
		if e.present || opt.Hdr.Name != "." {
			return false
		}
		e.present = true
		e.version, e.size, e.dnssecOK = opt.Version(), opt.UDPSize(), opt.Do()
		for _, o := range opt.Option {
			switch o := o.(type) {
			case *dns.EDNS0_SUBNET:
				if e.subnetSize == 0 {
					e.setSubnet(o)
				}
			case *dns.EDNS0_COOKIE:
				data, err := hex.DecodeString(o.Cookie)
				if err != nil || !e.readCookie(data) {
					return false
				}
			}
		}
	}
	return true
}

// setSubnet keeps a client's subnet option as the answer gives it back: with
// scope 0, since an answer here is for everyone (RFC 7871 section 7.2.1).
func (e *edns) setSubnet(s *dns.EDNS0_SUBNET) {
	address := s.Address.To16()
	if v4 := s.Address.To4(); s.Family == 1 && v4 != nil {
		address = v4
	}
	size := (int(s.SourceNetmask) + 7) / 8
	if s.Family == 0 {
		address, size = net.IP{}, 0
	}
	if size > len(address) {
		return
	}
	b := e.subnet[:0]
	b = binary.BigEndian.AppendUint16(b, dns.EDNS0SUBNET)
	b = binary.BigEndian.AppendUint16(b, uint16(4+size))
	b = binary.BigEndian.AppendUint16(b, s.Family)
	b = append(b, s.SourceNetmask, 0)
	b = append(b, address[:size]...)
	e.subnetSize = uint8(len(b))
}
