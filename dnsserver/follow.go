package dnsserver

import (
	"context"

	"herald/dnsserver/recursor"

	"github.com/miekg/dns"
)

// leading is where the aliases of an answer lead out of the zones: to the name at at in its wire form,
// which the answers, so many, end with. The zero value is nowhere.
type leading struct{ at, end, answers int }

// follow has recursors go on where an alias led, and takes as long as they do. If they cannot, the answer
// is the alias alone, from where a client can go on by itself, with an extended error.
func (h *handler) follow(a response) response {
	records, rcode, err := h.recursors.Resolve(context.Background(), a.leads.name(a.wire), a.pending.qtype)
	if err != nil {
		h.log.Debug("dns: an alias was not followed by recursors", "err", err)
		code, text := recursor.ExtendedError(err)
		added := extendedError(code, text)
		if len(a.wire)+len(added) <= h.sizing.limit(a.pending) {
			a.wire = recursor.AddOptions(a.wire, added)
		}
		return response{wire: a.wire, rcode: a.rcode}
	}
	return response{wire: h.followed(a, records, rcode), rcode: rcode}
}

// name is the one that the aliases lead to.
func (l *leading) name(wire []byte) []byte { return wire[l.at:l.end] }

// followed is an answer with the records that recursors had for the end of its aliases. Their
// code is that of the whole (RFC 6604 section 2); the authority is for the name that was asked for (RFC 1034 section 4.3.1).
func (h *handler) followed(a response, records []recursor.Record, rcode int) []byte {
	q := a.pending
	var m message
	m.begin(nil, q)
	m.limit = h.sizing.limit(q)
	m.body = append(m.body, a.wire[len(m.body):a.leads.end]...)
	m.answers = a.leads.answers
	owner := a.leads.at // of the records that follow: what the last alias leads to
	for n, r := range records {
		if h.sizing.full(q, n) {
			m.truncated = true
			break
		}
		k := m.mark()
		m.body = m.record(m.body, owner, r.Type, r.TTL)
		data := len(m.body)
		m.body = append(m.body, r.Data...)
		endRecord(m.body, data)
		if !m.keep(k) {
			break
		}
		if r.Type == dns.TypeCNAME {
			owner = data
		}
	}
	m.truncated = m.truncated && h.markTruncated
	return m.finish(q, rcode, true)
}
