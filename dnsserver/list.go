package dnsserver

import (
	"net/netip"

	"github.com/miekg/dns"
)

// list is the records of one name as they are written.
type list struct {
	w     *worker
	first int // how many answers there were before
}

func (w *worker) list() list { return list{w: w, first: w.answers} }

// empty reports whether no record of the list has been written.
func (l *list) empty() bool { return l.w.answers == l.first }

// full reports whether there may be no more records than there are; that
// there would have been one is then noted.
func (l *list) full() bool {
	if !l.w.sizing.full(l.w.query, l.w.answers-l.first) {
		return false
	}
	l.w.truncated = true
	return true
}

// outcome is found if there were records, also if none fitted.
func (l *list) outcome() outcome {
	if l.empty() && !l.w.truncated {
		return noData
	}
	return found
}

// addressAnswers writes those of an endpoint's addresses that are asked for and
// are new. It reports whether there may be more.
func (w *worker) addressAnswers(l *list, owner int, e *endpoint, ttl uint32) bool {
	return w.addressAnswer(l, owner, e.v4, ttl) && w.addressAnswer(l, owner, e.v6, ttl)
}

func (w *worker) addressAnswer(l *list, owner int, ip netip.Addr, ttl uint32) bool {
	if !ip.IsValid() || !w.wants(addressType(ip)) || !w.addresses.add(ip) {
		return true
	}
	if l.full() {
		return false
	}
	k := w.mark()
	w.body = w.appendAddress(w.body, owner, ip, ttl)
	return w.keep(k) || l.empty()
}

// alias writes a CNAME to a host name and, if that is ours, goes on with its
// records. A host name that DNS cannot spell leaves the name without data.
func (w *worker) alias(owner int, l *lookup, host string, ttl uint32, depth int) end {
	k := w.mark()
	w.body = w.record(w.body, owner, dns.TypeCNAME, ttl)
	data := len(w.body)
	var ok bool
	if w.body, ok = appendName(w.body, host); !ok {
		w.takeBack(k)
		return end{noData, owner, l}
	}
	endRecord(w.body, data)
	if !w.keep(k) || w.query.qtype == dns.TypeCNAME || w.query.qtype == dns.TypeANY || depth >= maxAliases {
		return end{found, owner, l}
	}
	to := &w.lookups[depth+1]
	w.parse(to, w.name(data))
	w.followed = append(w.followed, owner)
	switch {
	case w.circular(data):
		return end{found, owner, l}
	case to.kind == kindOutside:
		if w.query.forwardable() {
			w.leads = data
		}
		return end{found, owner, l}
	}
	return w.resolve(data, to, depth+1)
}

// circular reports whether the name at at is one that an alias was followed from.
func (w *worker) circular(at int) bool {
	name := w.name(at)
	for _, from := range w.followed {
		if sameName(name, w.name(from)) {
			return true
		}
	}
	return false
}

// sameName reports whether two names in wire form are equal, whatever their case.
// The bytes that are lengths are below those of letters.
func sameName(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
