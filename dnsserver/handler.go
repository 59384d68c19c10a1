package dnsserver

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"herald/dnsserver/limit"
	"herald/dnsserver/recursor"
	"herald/registry/catalog"

	"github.com/miekg/dns"
)

// handler answers messages, from any number of goroutines.
type handler struct {
	*responder
	catalog *catalog.Catalog
	metrics *metrics
	log     *slog.Logger
	// freshness is how old the catalog is, and treeFreshness the tree of keyed zones; nil if nobody asks.
	freshness, treeFreshness *freshness

	clock func() time.Time
	// recursors answer what is outside the zones; nil if there are none.
	recursors *recursor.Forwarder
	// limiter bounds what one client is answered over UDP; nil if nothing does. limited counts what it holds back.
	limiter *limit.Limiter
	limited interface{ Inc() }
	// random is shared: its source is safe for concurrent use.
	random *rand.Rand

	buffers *sync.Pool // of *[]byte
}

// anyOrder is a source of random numbers that any number of goroutines may use.
type anyOrder struct{}

func (anyOrder) Uint64() uint64 { return rand.Uint64() }

// recovered is deferred around each message: a mistake in here must not let one packet from the
// network take the whole process, which may be a voter, with it.
func (h *handler) recovered() {
	if p := recover(); p != nil {
		h.log.Error("dns: query failed", "panic", p, "stack", string(debug.Stack()))
		h.metrics.count(0, dns.RcodeServerFailure)
	}
}

// ServeDNS answers one message that came over a stream. It is what miekg/dns calls.
func (h *handler) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	defer h.recovered()
	h.serve(w, r)
}

func (h *handler) serve(w dns.ResponseWriter, r *dns.Msg) {
	start := time.Now()
	buf := h.buffer()
	q, a := h.message(*buf, r, clientOf(w.RemoteAddr()), true)
	if a.pending != nil {
		if packet, err := r.Pack(); err == nil {
			a = h.recurse(packet, a, true)
		}
	}
	if _, err := w.Write(a.wire); err != nil && !gone(err) {
		h.log.Debug("dns: answer not sent", "client", w.RemoteAddr(), "bytes", len(a.wire), "err", err)
	}
	*buf = a.wire[:0]
	h.buffers.Put(buf)
	h.metrics.answered(q.qtype, a.rcode, time.Since(start))
}

// message answers a message that was read whole.
func (h *handler) message(dst []byte, r *dns.Msg, client netip.Addr, stream bool) (*query, response) {
	q, ok := readQuery(r, stream)
	if !ok {
		return q, h.malformed(dst, q)
	}
	q.client = client
	return q, h.answer(dst, q)
}

// answer answers a query from what the catalog is now.
func (h *handler) answer(dst []byte, q *query) response {
	q.age, q.treeAge = h.freshness.age(), h.treeFreshness.age()
	if len(q.edns.cookie) > 0 {
		q.now = h.clock().Unix()
	}
	return h.respond(dst, h.catalog.Index(), q, h.random)
}

// packet answers what readPacket did not read: whatever comes in a UDP packet. The answer is empty where
// none is to be sent.
func (h *handler) packet(dst, packet []byte, client netip.Addr) (qtype uint16, a response) {
	if len(packet) < headerSize {
		h.metrics.count(0, dns.RcodeFormatError)
		return 0, response{wire: dst[:0]}
	}
	header := readHeader(packet)
	switch h.accept(header) {
	case dns.MsgAccept:
	case dns.MsgReject:
		return 0, rejection(dst, header, dns.RcodeFormatError)
	case dns.MsgRejectNotImplemented:
		return 0, rejection(dst, header, dns.RcodeNotImplemented)
	default:
		return 0, response{wire: dst[:0]}
	}
	var m dns.Msg
	if m.Unpack(packet) != nil {
		h.metrics.count(0, dns.RcodeFormatError)
		return 0, rejection(dst, header, dns.RcodeFormatError)
	}
	q, a := h.message(dst, &m, client, false)
	if a.pending == nil {
		h.metrics.count(q.qtype, a.rcode)
	}
	return q.qtype, a
}

func readHeader(b []byte) dns.Header {
	at := func(i int) uint16 { return binary.BigEndian.Uint16(b[2*i:]) }
	return dns.Header{Id: at(0), Bits: at(1), Qdcount: at(2), Ancount: at(3), Nscount: at(4), Arcount: at(5)}
}

// rejection is an answer that is a header alone: of a message that is turned away by its own header, or
// cannot be read.
func rejection(dst []byte, header dns.Header, rcode int) response {
	const opcode = 0xf << 11
	b := binary.BigEndian.AppendUint16(dst[:0], header.Id)
	b = binary.BigEndian.AppendUint16(b, flagQR|header.Bits&(opcode|flagRD)|uint16(rcode))
	return response{wire: append(b, make([]byte, headerSize-4)...), rcode: rcode}
}

func clientOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func (h *handler) buffer() *[]byte {
	if b, ok := h.buffers.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

// gone reports whether an answer failed because its client went away.
func gone(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded)
}

// accept decides by its header what becomes of a message, before the rest of it
// is read. Answers are never answered, so that two servers cannot keep
// each other busy.
func (h *handler) accept(header dns.Header) dns.MsgAcceptAction {
	const response, opcodeShift, opcodeMask = 1 << 15, 11, 0xf
	switch {
	case header.Bits&response != 0:
		return dns.MsgIgnore
	case header.Bits>>opcodeShift&opcodeMask != dns.OpcodeQuery:
		h.metrics.count(0, dns.RcodeNotImplemented)
		return dns.MsgRejectNotImplemented
	case header.Qdcount != 1 || header.Ancount > 0 || header.Nscount > 1 || header.Arcount > 2:
		// IXFR has a record in the authority section (RFC 1995); TSIG and OPT are
		// all that a query has in the additional section.
		h.metrics.count(0, dns.RcodeFormatError)
		return dns.MsgReject
	}
	return dns.MsgAccept
}

// invalid counts a message that cannot be read. One too short for a header gets no
// answer, the others FORMERR.
func (h *handler) invalid([]byte, error) { h.metrics.count(0, dns.RcodeFormatError) }
