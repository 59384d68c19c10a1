package dnsserver

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

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
	// allWeights is what the weights of one priority add up to, or nearly.
	allWeights = 100
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

// newKeyedZone makes a zone whose records are keys.
func newKeyedZone(name string) (zone, error) {
	z, err := newZone(name, false)
	if err != nil {
		return zone{}, err
	}
	var l labels
	l.split(z.name)
	for i := range l.n {
		if label := string(l.at(i)); skydns.IsWildcard(label) || strings.Contains(label, "/") {
			return zone{}, fmt.Errorf("%q has a label %q, which no key is for; a zone is written as a name, such as skydns.local or 0.0.10.in-addr.arpa", name, label)
		}
	}
	if len(z.name) > maxDomain {
		return zone{}, fmt.Errorf("%q is longer than %d bytes and leaves no room for names under it", name, maxDomain)
	}
	z.keyed = true
	for _, reverse := range []string{reverseIPv4Folded, reverseIPv6Folded} {
		z.pointers = z.pointers || z.folded == reverse || strings.HasSuffix(z.folded, reverse) && l.n > 2
	}
	return z, nil
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

// keyedRecords writes the records of one type: by their priority, where the type has one, and those of the same in any order. All of them may
// be cached for the time of the least.
func (w *worker) keyedRecords(list *list, owner int, l *lookup, rtype uint16, records []*skydns.Record) {
	k := &w.keyed
	k.chosen = k.chosen[:0]
	var ttl uint32
	for _, r := range records {
		if says(r, rtype, view(k.found.path)) {
			if len(k.chosen) == 0 || r.TTL < ttl {
				ttl = r.TTL
			}
			k.chosen = append(k.chosen, r)
		}
	}
	k.seen.reset()
	k.names = k.names[:0]
	ranked := rtype == dns.TypeSRV || rtype == dns.TypeMX
	if ranked && !slices.IsSortedFunc(k.chosen, byPriority) {
		slices.SortStableFunc(k.chosen, byPriority)
	}
	for rest := k.chosen; len(rest) > 0; {
		group := rest
		if ranked {
			group = firstPriority(rest)
		}
		rest = rest[len(group):]
		weights := totalWeight(group)
		for i := range group {
			at := i + w.random.IntN(len(group)-i)
			group[i], group[at] = group[at], group[i]
			if !w.keyedRecord(list, owner, l, rtype, group[i], ttl, weights) {
				return
			}
		}
	}
}

// says reports whether a record has something to say for a type. A PTR record is made of the record of the name alone.
func says(r *skydns.Record, rtype uint16, path string) bool {
	hosted := r.Host != "" || r.Address.IsValid()
	switch rtype {
	case dns.TypeA:
		return r.Address.Is4()
	case dns.TypeAAAA:
		return r.Address.Is6()
	case dns.TypeSRV:
		return hosted && r.Port != skydns.NoPort
	case dns.TypeMX:
		return hosted && r.Mail
	case dns.TypeTXT:
		return r.Text != ""
	case dns.TypePTR:
		return r.Host != "" && r.Path() == path
	}
	return hosted // NS
}

func byPriority(a, b *skydns.Record) int { return cmp.Compare(a.Priority, b.Priority) }

// firstPriority is what comes first of sorted records, with one priority.
func firstPriority(records []*skydns.Record) []*skydns.Record {
	n := 1
	for n < len(records) && records[n].Priority == records[0].Priority {
		n++
	}
	return records[:n]
}

func totalWeight(records []*skydns.Record) (sum uint64) {
	for _, r := range records {
		sum += uint64(r.Weight)
	}
	return sum
}

// keyedRecord writes a record, unless an equal one was, with the addresses of the name in it. It reports whether there may
// be more. weights is the sum of its priority's.
func (w *worker) keyedRecord(list *list, owner int, l *lookup, rtype uint16, r *skydns.Record, ttl uint32, weights uint64) bool {
	data := keyedData{address: r.Address}
	switch rtype {
	case dns.TypeTXT:
		data = keyedData{text: r.Text}
	case dns.TypePTR:
		data = keyedData{text: r.Host}
	case dns.TypeNS:
		data = keyedData{text: w.targetOf(r, l.zone)}
	case dns.TypeMX:
		data = keyedData{text: w.targetOf(r, l.zone), priority: r.Priority}
	case dns.TypeSRV:
		data = keyedData{text: w.targetOf(r, l.zone), priority: r.Priority, port: uint16(r.Port),
			weight: uint16(max(1, allWeights*uint64(r.Weight)/weights))}
	}
	if !w.keyed.seen.add(data) {
		return true
	}
	if list.full() {
		return false
	}
	k := w.mark()
	switch rtype {
	case dns.TypeA, dns.TypeAAAA:
		w.body = w.appendAddress(w.body, owner, data.address, ttl)
	case dns.TypeTXT:
		w.body, _ = w.appendText(w.body, owner, data.text, ttl) // a value is shorter than what no record can hold
	default:
		w.keyedNaming(list, owner, rtype, r, &data, ttl)
	}
	return w.keep(k) || list.empty()
}

// keyedNaming writes a record that names something, with the addresses of that, if it is none of a PTR record.
func (w *worker) keyedNaming(list *list, owner int, rtype uint16, r *skydns.Record, data *keyedData, ttl uint32) {
	w.body = w.record(w.body, owner, rtype, ttl)
	from := len(w.body)
	switch rtype {
	case dns.TypeSRV:
		w.body = binary.BigEndian.AppendUint16(w.body, data.priority)
		w.body = binary.BigEndian.AppendUint16(w.body, data.weight)
		w.body = binary.BigEndian.AppendUint16(w.body, data.port)
	case dns.TypeMX:
		w.body = binary.BigEndian.AppendUint16(w.body, data.priority)
	}
	at := len(w.body)
	w.body, _ = appendName(w.body, data.text) // which was found to be a name when it was read
	endRecord(w.body, from)
	if rtype == dns.TypePTR {
		return
	}
	bare := w.mark()
	if r.Host == "" && r.TargetStrip == 0 {
		w.addAddress(at, r.Address, r.TTL)
	} else {
		w.addHost(at)
	}
	if !w.fits() && list.empty() {
		w.takeBack(bare)
		w.truncated = true
	}
}

// targetOf is what a record names: its host, or its own name, which stands for its address. Labels are left out of that as
// the record says, unless that would lead out of the zone.
func (w *worker) targetOf(r *skydns.Record, z *zone) string {
	if r.Host != "" {
		return r.Host
	}
	path := r.Path()
	for range r.TargetStrip {
		if path = path[:strings.LastIndexByte(path[:len(path)-1], 0)+1]; len(path) < len(z.folded) {
			path = r.Path()
			break
		}
	}
	// What is spelled already stays where it is, also if names has to grow.
	k := &w.keyed
	from := len(k.names)
	for path != "" {
		start := strings.LastIndexByte(path[:len(path)-1], 0) + 1
		k.names = append(append(k.names, path[start:len(path)-1]...), '.')
		path = path[:start]
	}
	return view(k.names[from : len(k.names)-1])
}

// addKeyedHost adds addresses of a name of a keyed zone, which stands at at.
func (w *worker) addKeyedHost(at int, l *lookup) {
	if w.records() == nil {
		return
	}
	f := &w.keyed.beside
	w.findAddressed(f, l, glueWork, true)
	ttl, n := uint32(0), 0
	for _, r := range skydns.Grouped(f.records) {
		if r.Address.IsValid() && n < maxAliasGlue && !anyAt(f.records[:n], r.Address) {
			if n == 0 || r.TTL < ttl {
				ttl = r.TTL
			}
			f.records[n] = r
			n++
		}
	}
	for _, r := range f.records[:n] {
		w.addAddress(at, r.Address, ttl)
	}
}

func anyAt(records []*skydns.Record, address netip.Addr) bool {
	return slices.ContainsFunc(records, func(r *skydns.Record) bool { return r.Address == address })
}
