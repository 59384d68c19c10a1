package dnsserver

import (
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"herald/registry/catalog"

	"github.com/miekg/dns"
)

// handler is what miekg/dns calls for each message, from any number of goroutines.
type handler struct {
	*responder
	catalog *catalog.Catalog
	metrics *metrics
	log     *slog.Logger
	// random is shared: its source is safe for concurrent use.
	random *rand.Rand
	// stream says that messages come over TCP.
	stream bool

	buffers *sync.Pool // of *[]byte
}

// anyOrder is a source of random numbers that any number of goroutines may use.
type anyOrder struct{}

func (anyOrder) Uint64() uint64 { return rand.Uint64() }

// ServeDNS answers one message.
func (h *handler) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	// A mistake in here must not let one packet from the network take the whole
	// process, which may be a voter, with it.
	defer func() {
		if p := recover(); p != nil {
			h.log.Error("dns: query failed", "panic", p, "question", r.Question, "stack", string(debug.Stack()))
			h.metrics.count(0, dns.RcodeServerFailure)
		}
	}()
	h.serve(w, r)
}

func (h *handler) serve(w dns.ResponseWriter, r *dns.Msg) {
	start := time.Now()
	buf := h.buffer()
	q, ok := readQuery(r, h.stream)
	var a response
	if ok {
		a = h.respond(*buf, h.catalog.Index(), q, h.random)
	} else {
		a = h.malformed(*buf, q)
	}
	if _, err := w.Write(a.wire); err != nil && !gone(err) {
		h.log.Debug("dns: answer not sent", "client", w.RemoteAddr(), "bytes", len(a.wire), "err", err)
	}
	*buf = a.wire[:0]
	h.buffers.Put(buf)
	h.metrics.answered(q.qtype, a.rcode, time.Since(start))
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
