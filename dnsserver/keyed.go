package dnsserver

import (
	"net/netip"

	"herald/dnsserver/skydns"

	"github.com/miekg/dns"
)

const (
	// labelInfrastructure is what a keyed zone's records about itself are below: ns.dns.<zone> the name servers', and
	// apex.dns.<zone> the addresses of the zone's own name.
	labelInfrastructure = "dns"
	labelApex           = "apex"
	// glueWork bounds what finding the addresses of one target may cost.
	glueWork = 64
)

// keyed is what answering for keyed zones takes.
type keyed struct {
	tree *skydns.Tree // of this answer, once it was asked for
	// found is what a name has, and beside what a target has.
	found, beside finding
	// chosen are those of the found records with one type.
	chosen []*skydns.Record
	// seen are those that were written, and names is where the names in them are spelled.
	seen  seen[keyedData]
	names []byte
}

// finding is a name's path, and its records and those of all names beneath it.
type finding struct {
	path    []byte
	records []*skydns.Record
}

// keyedData is what a record made of a key says.
type keyedData struct {
	address                netip.Addr
	text                   string // a name in lower case, or a text
	priority, weight, port uint16
}

func (f *finding) reset() {
	clear(f.records)
	f.records = f.records[:0]
}

// release lets go of the tree and its records.
func (k *keyed) release() {
	k.tree = nil
	k.found.reset()
	k.beside.reset()
	clear(k.chosen)
	k.chosen = k.chosen[:0]
	clear(k.seen.few)
	k.seen.reset()
}

// records is the tree, the same throughout an answer; nil if it has not been read.
func (w *worker) records() *skydns.Tree {
	if w.keyed.tree == nil && w.tree != nil {
		w.keyed.tree = w.responder.tree()
	}
	return w.keyed.tree
}

// find fills f with the records of a name in a keyed zone, or of one beneath that: below are its labels from the right to the
// left. It reports false if there are more than may be looked at.
func (w *worker) find(f *finding, l *lookup, work int, below ...string) (whole bool) {
	f.reset()
	f.path = f.path[:0]
	ok := true
	for i := l.labels.n - 1; i >= 0; i-- {
		if f.path, ok = skydns.AppendLabel(f.path, l.labels.at(i)); !ok {
			return true // no key is that name
		}
	}
	for _, label := range below {
		f.path, _ = skydns.AppendLabel(f.path, label)
	}
	f.records, whole = w.records().Lookup(f.records, view(f.path), work)
	return whole
}

// keyedName answers for a name of a keyed zone: with what its records, and those of all names beneath it, say.
func (w *worker) keyedName(owner int, l *lookup, depth int) end {
	k := &w.keyed
	list := w.list()
	apex := l.zoneAt == 0
	if apex {
		w.keyedApex(&list, owner, l)
	}
	qtype := w.query.qtype
	if apex && (qtype == dns.TypeSOA || qtype == dns.TypeNS) {
		return end{list.outcome(), owner, l}
	}
	whole := w.findAddressed(&k.found, l, skydns.MaxWork, w.wantsAddresses())
	records := skydns.Grouped(k.found.records)
	switch qtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeMX, dns.TypeTXT, dns.TypePTR:
		w.keyedRecords(&list, owner, l, qtype, records)
	case dns.TypeANY:
		for _, rtype := range [...]uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT} {
			w.keyedRecords(&list, owner, l, rtype, records)
		}
		if l.zone.pointers {
			w.keyedRecords(&list, owner, l, dns.TypePTR, records)
		}
	default:
		if !whole && len(k.found.records) > 0 {
			return end{list.outcome(), owner, l} // no type that is made of keys, and the name exists
		}
	}
	switch {
	case !list.empty() || w.truncated:
		w.truncated = w.truncated || !whole
		return end{list.outcome(), owner, l}
	case !whole:
		return end{failed, owner, l} // there may be some among those that were too many to be looked at
	case apex:
		return end{noData, owner, l}
	case len(k.found.records) == 0:
		return end{noName, owner, l}
	}
	if r := w.keyedAlias(owner, l, records); r != nil {
		return w.alias(owner, l, r.Host, r.TTL, depth)
	}
	return end{noData, owner, l}
}

// findAddressed is find; of the zone's own name, for whoever wants addresses, it finds the records that are made for that, if there
// are any.
func (w *worker) findAddressed(f *finding, l *lookup, work int, addresses bool) (whole bool) {
	if addresses && l.zoneAt == 0 {
		if whole = w.find(f, l, work, labelInfrastructure, labelApex); len(f.records) > 0 {
			return whole
		}
	}
	return w.find(f, l, work)
}

// keyedApex writes the SOA and NS records of a keyed zone.
func (w *worker) keyedApex(list *list, owner int, l *lookup) {
	if w.wants(dns.TypeSOA) {
		k := w.mark()
		w.appendSOA(owner, l.zone)
		w.keep(k)
	}
	if !w.wants(dns.TypeNS) {
		return
	}
	before := w.answers
	w.find(&w.keyed.found, l, glueWork, labelInfrastructure, labelServers)
	w.keyedRecords(list, owner, l, dns.TypeNS, w.keyed.found.records)
	if w.answers == before && !w.truncated {
		for _, n := range w.serverNodes() {
			w.nsAnswer(owner, n, w.primary)
		}
	}
}

// keyedAlias is one of the records whose host the name is an alias of, nil if it is none: a name that has an address of either
// family is none, since a CNAME stands for every type (RFC 1034), and none is its own.
func (w *worker) keyedAlias(owner int, l *lookup, records []*skydns.Record) *skydns.Record {
	if l.zone.pointers {
		return nil
	}
	var name [maxName]byte
	k := &w.keyed
	k.chosen = k.chosen[:0]
	for _, r := range records {
		if r.Address.IsValid() {
			return nil
		}
		if r.Host == "" {
			continue
		}
		if host, ok := appendName(name[:0], r.Host); ok && !sameName(host, w.name(owner)) {
			k.chosen = append(k.chosen, r)
		}
	}
	if len(k.chosen) == 0 {
		return nil
	}
	return k.chosen[w.random.IntN(len(k.chosen))]
}
