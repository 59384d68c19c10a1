package dnsserver

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"herald/dnsserver/cookie"
	"herald/dnsserver/skydns"
	"herald/registry/catalog"

	"github.com/miekg/dns"
)

// responder answers queries. It is immutable and safe for concurrent use.
type responder struct {
	names
	speller
	sizing
	// local is the name of this process's node.
	local         string
	nodeTTLs      ttls
	serviceTTLs   ttls
	negativeTTL   uint32 // in seconds
	onlyPassing   bool
	markTruncated bool
	nodeMeta      bool
	// zoneMeta is the metadata that says where a node or an instance is, "" if that has no say.
	zoneMeta string
	// recursive says that questions outside the zones are answered by recursors.
	recursive bool
	// cookies makes and checks server cookies; nil if there are to be none.
	cookies *cookie.Keeper
	// maxStale is how old a catalog is answered from, 0 for any age; staleErrorAfter how old it is
	// when answers say so, 0 for never.
	maxStale, staleErrorAfter time.Duration
	// queries finds prepared queries; nil if there are none.
	queries queries
	// tree is what the records of keyed zones are in, nil while that is not known yet; nil if there are no such zones.
	tree func() *skydns.Tree

	workers  sync.Pool // of *worker
	planners sync.Pool // of *planner
}

// newResponder makes a responder of settings that are valid, for a process on a
// node of a datacenter.
func newResponder(c *Config, node, datacenter string) (*responder, error) {
	r := &responder{
		names:         names{datacenter: strings.ToLower(datacenter)},
		sizing:        sizing{udp: c.UDPMaxSize, answers: c.UDPAnswerLimit},
		local:         node,
		negativeTTL:   seconds(c.NegativeTTL),
		onlyPassing:   c.OnlyPassing,
		markTruncated: c.EnableTruncate,
		nodeMeta:      c.NodeMetaTXT,
		zoneMeta:      c.ZoneMeta,
		recursive:     len(c.Recursors) > 0,
		maxStale:      c.MaxStale, staleErrorAfter: c.StaleErrorAfter,
	}
	var err error
	if r.cookies, err = newCookies(c); err != nil {
		return nil, err
	}
	if r.nodeTTLs, err = newTTLs(c.NodeTTL, c.NodeTTLs); err != nil {
		return nil, err
	}
	if r.serviceTTLs, err = newTTLs(c.ServiceTTL, c.ServiceTTLs); err != nil {
		return nil, err
	}
	if datacenterLabelProblem(datacenter) == "" {
		r.speller.datacenter = datacenter
	}
	for _, name := range append([]string{c.Domain}, c.AltDomains...) {
		z, err := newZone(name, false)
		if err != nil {
			return nil, err
		}
		r.zones = append(r.zones, &z)
	}
	r.primary = r.zones[0]
	if c.Reverse {
		for _, name := range []string{reverseIPv4, reverseIPv6} {
			z, err := newZone(name, true)
			if err != nil {
				return nil, err
			}
			r.zones = append(r.zones, &z)
		}
	}
	for _, name := range c.SkyDNSZones {
		z, err := newKeyedZone(name)
		if err != nil {
			return nil, err
		}
		r.zones = append(r.zones, &z)
	}
	slices.SortStableFunc(r.zones, func(a, b *zone) int { return b.labels - a.labels })
	return r, nil
}

// datacenterLabelProblem says why names cannot carry a datacenter's name, or "".
func datacenterLabelProblem(datacenter string) string {
	switch strings.ToLower(datacenter) {
	case labelService, labelNode, labelAddress, labelQuery:
		return "it is a word that names have another meaning for"
	}
	if _, ok := appendLabels(nil, datacenter); !ok || strings.Contains(datacenter, ".") {
		return fmt.Sprintf("it is not a DNS label of 1 to %d bytes", maxLabel)
	}
	return ""
}

// response is an answer, and how it came out.
type response struct {
	wire  []byte
	rcode int
	// pending is the query that recursors have to be asked about before the answer is sent; nil if they have not. It may lie in
	// the packet.
	pending *query
	// leads is where the aliases of the answer lead, if recursors are to go on from there; if
	// that is nowhere they are asked for the answer, and wire refuses it.
	leads leading
}

// kept is a copy of which nothing lies in the packet, or in what the next answer is written to.
func (a response) kept() response {
	q := *a.pending
	q.name = bytes.Clone(q.name)
	q.edns.cookie = nil // it has been answered
	a.wire, a.pending = bytes.Clone(a.wire), &q
	return a
}

// worker is what answering one query takes besides; it is reused.
type worker struct {
	*responder
	index  *catalog.Index
	query  *query
	random *rand.Rand
	message

	// lookups are the name asked for, and those that aliases led to; beside is another.
	lookups [maxAliases + 2]lookup
	beside  lookup

	keyed     keyed
	order     order
	instances []*catalog.Instance
	addresses seen[addressKey]
	texts     []textOwner
	// described is the metadata of a plan that has been written.
	described seen[int32]
	// followed are where the names stand that aliases were followed from.
	followed []int
	// leads is where the name stands that an alias led to out of the zones, if recursors are to go on; else 0.
	leads int
	// ttl is that of the records of services and nodes, where the answer has one of its own.
	ttl    uint32
	ttlSet bool
}

// outcome is what became of a question that was looked up.
type outcome uint8

const (
	// found: there are records, or there would be if they fitted.
	found outcome = iota
	// noData: the name exists and has no records of that type.
	noData
	// noName: the name does not exist.
	noName
	// failed: what there is cannot be told now.
	failed
)

// respond answers q from x, and appends the answer to dst[:0]. The same index, tree,
// query and random numbers give the same bytes.
func (r *responder) respond(dst []byte, x *catalog.Index, q *query, random *rand.Rand) response {
	w := r.worker(x, q, random)
	defer w.release(r)
	q.recursive = r.recursive
	asked := &w.lookups[0]
	r.parse(asked, q.name)
	tooOld := r.stale(q, asked.kind == kindKeyed)
	r.answerCookie(q)
	w.begin(dst, q)
	w.limit = r.sizing.limit(q)

	if rcode := r.refuse(q, asked); rcode != dns.RcodeSuccess {
		a := response{wire: w.finish(q, rcode, false), rcode: rcode}
		if q.forwardable() && rcode == dns.RcodeRefused && asked.kind == kindOutside {
			a.pending = q
		}
		return a
	}
	if tooOld || w.unread(asked) {
		// What there is has not been read yet, or is older than it may be: that a name does not
		// exist is not ours to say, and would be remembered.
		return response{wire: w.finish(q, dns.RcodeServerFailure, false), rcode: dns.RcodeServerFailure}
	}
	end := w.resolve(nameAt, asked, 0)
	if asked.zone.reverse && end.outcome != found && q.forwardable() {
		// An address that nothing has here may have a name elsewhere.
		return response{wire: w.fail(q, dns.RcodeRefused), rcode: dns.RcodeRefused, pending: q}
	}
	return w.conclude(end)
}

// worker returns one for an answer, which is released when that is there.
func (r *responder) worker(x *catalog.Index, q *query, random *rand.Rand) *worker {
	w, _ := r.workers.Get().(*worker)
	if w == nil {
		w = &worker{}
	}
	w.responder, w.index, w.query, w.random = r, x, q, random
	w.followed, w.ttlSet, w.leads = w.followed[:0], false, 0
	return w
}

// conclude is the answer to a query that was looked up.
func (w *worker) conclude(end end) response {
	q, rcode := w.query, dns.RcodeSuccess
	switch end.outcome {
	case noName:
		rcode = dns.RcodeNameError
		w.authoritySOA(end.owner, end.lookup)
	case noData:
		w.authoritySOA(end.owner, end.lookup)
	case failed:
		return response{wire: w.fail(q, dns.RcodeServerFailure), rcode: dns.RcodeServerFailure}
	}
	w.truncated = w.truncated && w.markTruncated
	a := response{rcode: rcode}
	if w.leads > 0 {
		a.pending, a.leads = q, leading{at: w.leads, end: len(w.body), answers: w.answers}
	}
	a.wire = w.finish(q, rcode, true)
	return a
}

// unread reports whether it is not known yet what there is in the zone of a name.
func (w *worker) unread(l *lookup) bool {
	if l.kind == kindKeyed {
		return w.records() == nil
	}
	return w.index.Revision() == 0
}

// fail turns what was written into an answer that says only that it failed, and how.
func (w *worker) fail(q *query, rcode int) []byte {
	limit := w.limit
	w.begin(w.body, q)
	w.limit = limit
	return w.finish(q, rcode, false)
}

// malformed is the answer to what is not a query.
func (r *responder) malformed(dst []byte, q *query) response {
	var m message
	m.begin(dst, q)
	return response{wire: m.finish(q, dns.RcodeFormatError, false), rcode: dns.RcodeFormatError}
}

// release returns a worker for reuse, without what it would keep alive.
func (w *worker) release(r *responder) {
	clear(w.instances)
	w.index, w.query, w.random, w.order.plan = nil, nil, nil, nil
	w.body = nil // the caller's
	w.instances = w.instances[:0]
	if w.keyed.tree != nil {
		w.keyed.release()
	}
	w.addresses.reset()
	r.workers.Put(w)
}

// refuse says with which code a query is turned away before it is looked up.
func (r *responder) refuse(q *query, asked *lookup) int {
	switch {
	case q.edns.present && q.edns.version != ednsVersion:
		return dns.RcodeBadVers
	case q.qclass != dns.ClassINET && q.qclass != dns.ClassANY:
		return dns.RcodeRefused
	case asked.kind == kindOutside:
		return dns.RcodeRefused
	}
	switch q.qtype {
	case dns.TypeAXFR, dns.TypeIXFR, dns.TypeMAILA, dns.TypeMAILB:
		return dns.RcodeNotImplemented
	case dns.TypeNone, dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY:
		return dns.RcodeFormatError
	}
	return dns.RcodeSuccess
}

// end is where looking a question up ended: at the name asked for, or at the
// last of the aliases that it led through.
type end struct {
	outcome
	owner  int
	lookup *lookup
}

// resolve writes the records of a name that stands at owner in the message.
// depth is how many aliases led to it.
func (w *worker) resolve(owner int, l *lookup, depth int) end {
	var o outcome
	if depth > 0 && w.unread(l) {
		return end{failed, owner, l}
	}
	switch l.kind {
	case kindKeyed:
		return w.keyedName(owner, l, depth)
	case kindService:
		return w.service(owner, l, depth)
	case kindQuery:
		return w.prepared(owner, l, depth)
	case kindNode:
		return w.node(owner, l, depth)
	case kindAddress:
		o = w.address(owner, l)
	case kindReverse:
		o = w.reverse(owner, l)
	case kindApex:
		o = w.apex(owner, l)
	case kindServers:
		o = w.servers(owner)
	case kindHollow:
		o = noData
	default:
		o = noName
	}
	return end{o, owner, l}
}

// wants reports whether records of a type are asked for.
func (w *worker) wants(rtype uint16) bool {
	return w.query.qtype == rtype || w.query.qtype == dns.TypeANY
}

// wantsAddresses reports whether any addresses are asked for.
func (w *worker) wantsAddresses() bool {
	return w.wants(dns.TypeA) || w.wants(dns.TypeAAAA)
}
