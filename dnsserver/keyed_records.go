package dnsserver

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"herald/dnsserver/skydns"

	"github.com/miekg/dns"
)

// allWeights is what the weights of one priority add up to, or nearly.
const allWeights = 100

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
