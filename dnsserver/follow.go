package dnsserver

import (
	"context"
	"math/rand/v2"

	"herald/dnsserver/recursor"
	"herald/registry/catalog"

	"github.com/miekg/dns"
)

// leading is where the aliases of an answer lead out of the zones: to the name at at in its wire form,
// which the answers, so many, end with. The zero value is nowhere.
type leading struct{ at, end, answers int }

// mostTrips is how often recursors are asked for one answer: where an alias leads out of the zones, and where the names
// that it leads to lead back into the zones and out again. It keeps every alias within a pointer's reach (maxPointer) of
// the beginning: a trip adds mostly 15 CNAMEs, and a name of ours maxAliases+1, of no more than 267 bytes.
const mostTrips = 2

// follow has recursors go on where an alias led, and takes as long as they do. If they cannot, the answer
// is the alias alone, from where a client can go on by itself, with an extended error.
func (h *handler) follow(a response) response {
	for range mostTrips {
		records, rcode, err := h.recursors.Resolve(context.Background(), a.leads.name(a.wire), a.pending.qtype)
		if err != nil {
			return h.unfollowed(a, err)
		}
		if a = h.followed(a, records, rcode); a.pending == nil {
			break
		}
	}
	return a
}

// unfollowed is an answer whose aliases recursors could not go on from.
func (h *handler) unfollowed(a response, err error) response {
	h.log.Debug("dns: an alias was not followed by recursors", "err", err)
	code, text := recursor.ExtendedError(err)
	added := extendedError(code, text)
	if len(a.wire)+len(added) <= h.sizing.limit(a.pending) {
		a.wire = recursor.AddOptions(a.wire, added)
	}
	return response{wire: a.wire, rcode: a.rcode}
}

// name is the one that the aliases lead to.
func (l *leading) name(wire []byte) []byte { return wire[l.at:l.end] }

// followed is an answer with the records that recursors had for the end of its aliases. Their
// code is that of the whole (RFC 6604 section 2); the authority is for the name that was asked for (RFC 1034 section 4.3.1).
// Of names of ours they do not decide: an alias that leads back is gone on from here, and what they said of its name is left out.
func (h *handler) followed(a response, records []recursor.Record, rcode int) response {
	q := a.pending
	var m message
	m.begin(nil, q)
	m.limit = h.sizing.limit(q)
	m.body = append(m.body, a.wire[len(m.body):a.leads.end]...)
	m.answers = a.leads.answers
	owner := a.leads.at // of the records that follow: what the last alias leads to
	var to lookup
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
		if r.Type != dns.TypeCNAME {
			continue
		}
		owner = data
		// What nothing here has in the reverse zones, others may have.
		if h.parse(&to, m.name(owner)); to.kind != kindOutside && !to.zone.reverse {
			return h.goOn(m, owner, h.catalog.Index(), q, h.random)
		}
	}
	m.truncated = m.truncated && h.markTruncated
	return response{wire: m.finish(q, rcode, true), rcode: rcode}
}

// goOn is the answer m, which consists of aliases so far, with what is to be said of the name that stands at at and
// is one of ours: the last alias leads to it.
func (r *responder) goOn(m message, at int, x *catalog.Index, q *query, random *rand.Rand) response {
	w := r.worker(x, q, random)
	defer w.release(r)
	w.message = m
	w.retrace()
	l := &w.lookups[1]
	if r.parse(l, w.name(at)); w.circular(at) {
		return w.conclude(end{found, at, l})
	}
	return w.conclude(w.resolve(at, l, 1))
}

// retrace finds the names again that the aliases of an answer were followed from: that of the question, and what all but the
// last of them lead to.
func (w *worker) retrace() {
	owner, record := nameAt, headerSize+len(w.query.name)+4
	for range w.answers {
		w.followed = append(w.followed, owner)
		owner = record + ownerSize + recordFixed
		record += renderedSize(w.body[record:])
	}
}
