package dnsserver

import "github.com/miekg/dns"

// sizing is how large answers may be.
type sizing struct {
	// udp is the largest UDP answer, in bytes, whatever a client takes.
	udp int
	// answers is how many records an answer in 512 bytes may have; 0 is as many
	// as fit.
	answers int
}

// limit is how many bytes the answer to q may have: what the client says it
// takes, which is 512 if it says nothing or less (RFC 6891 section 6.2.3).
func (s *sizing) limit(q *query) int {
	switch {
	case q.stream:
		return maxMessage
	case !q.edns.present, q.qtype == dns.TypeANY:
		// RFC 8482: what a question of any type brings to somebody else's address is not worth
		// more. Over TCP it is whole.
		return dns.MinMsgSize
	}
	return max(dns.MinMsgSize, min(int(q.edns.size), s.udp))
}

// full reports whether an answer of n records to q may have no more of them.
func (s *sizing) full(q *query, n int) bool {
	return s.answers > 0 && n >= s.answers && !q.stream && s.limit(q) == dns.MinMsgSize
}

// How a record list is cut.
//
// The answers go in one by one, in their shuffled order. An SRV record goes in
// together with the addresses of its target: a client that is given the one
// without the other has to ask again, and would do better over TCP. The first
// that does not fit ends the list and sets TC, unless nothing fitted before it: an
// SRV record then goes without its addresses, and the next is tried. Whatever is
// only a courtesy, the nodes' metadata, comes after everything else, where
// there is room, and its absence sets no TC (RFC 2181 section 9).
