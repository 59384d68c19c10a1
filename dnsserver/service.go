package dnsserver

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"github.com/miekg/dns"
)

const (
	srvPriority = 1
	// srvFixed is what stands before the target in an SRV record's data.
	srvFixed = 6
	// ownerSize is the pointer that a rendered record begins with.
	ownerSize = 2
	// targetAt is where the target stands in a rendered SRV record.
	targetAt = ownerSize + recordFixed + srvFixed
	// maxAliases is how many CNAMEs are followed.
	maxAliases = 8
	// maxAliasGlue is how many addresses are added for an SRV target that is
	// itself the name of one of our services.
	maxAliasGlue = 8
)

// addressKey is an address record without its owner.
type addressKey = netip.Addr

// serviceKey is an SRV record without its owner.
type serviceKey struct {
	target       targetKey
	port, weight uint16
}

// targetKey is the target of an SRV record: a node, a host or an address.
type targetKey struct {
	node, host string
	address    netip.Addr
}

// textOwner is metadata that may follow, and where the name that it is of stands.
type textOwner struct {
	text int32 // in plan.texts
	at   int
}

// view is a name as text, without a copy: it is valid as long as b is not changed, and must not be kept.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// appendSRV appends the data of an SRV record up to its target.
func appendSRV(b []byte, weight, port uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, srvPriority)
	b = binary.BigEndian.AppendUint16(b, weight)
	return binary.BigEndian.AppendUint16(b, port)
}

// service answers for a service, or those of its instances that have a tag.
func (w *worker) service(owner int, l *lookup, depth int) end {
	s := w.index.Service(view(l.name))
	if s == nil {
		return end{noName, owner, l}
	}
	return w.planned(owner, l, w.plan(s, kindOfPlan(w.query.qtype), l.zone, l.tag, w.near()), depth)
}

// planned answers with a plan.
func (w *worker) planned(owner int, l *lookup, p *plan, depth int) end {
	switch {
	case p.instances == 0:
		return end{noName, owner, l}
	case w.query.qtype == dns.TypeSRV:
		return end{w.services(owner, p), owner, l}
	case !p.addressed && len(p.hosts) > 0:
		// A name that has an address of either family is no alias, since a CNAME stands
		// for every type (RFC 1034).
		ttl := w.serviceTTLs.of(view(l.name))
		if w.ttlSet {
			ttl = w.ttl
		}
		return w.alias(owner, l, p.hosts[w.random.IntN(len(p.hosts))], ttl, depth)
	case !w.wantsAddresses():
		return end{noData, owner, l}
	}
	return end{w.addressRecords(owner, p), owner, l}
}

// addressRecords writes A and AAAA records.
func (w *worker) addressRecords(owner int, p *plan) outcome {
	list := w.list()
	w.order.begin(p)
	for {
		u, ok := w.order.next(w.random)
		if !ok || list.full() {
			break
		}
		k := w.mark()
		w.copyAnswer(p, u, owner)
		if !w.keep(k) && !list.empty() {
			break
		}
	}
	return list.outcome()
}

// services writes SRV records, and what helps to reach their targets: each record has its
// target's addresses for itself, though another has them too, since there are clients that pair the two off
// (HAProxy 2.6).
func (w *worker) services(owner int, p *plan) outcome {
	w.texts = w.texts[:0]
	list := w.list()
	w.order.begin(p)
	for {
		u, ok := w.order.next(w.random)
		if !ok || list.full() {
			break
		}
		k := w.mark()
		at := w.copyAnswer(p, u, owner) + targetAt
		bare := w.mark()
		w.addBeside(p, u, at)
		if !w.fits() && list.empty() {
			w.takeBack(bare)
			w.truncated = true
		}
		if !w.keep(k) && !list.empty() {
			break
		}
	}
	if !w.truncated {
		w.addTexts(p)
	}
	return list.outcome()
}

// copyAnswer appends a unit's record, which is owner's, and returns where it stands.
func (w *worker) copyAnswer(p *plan, u *unit, owner int) int {
	at := len(w.body)
	w.body = append(w.body, p.bytes[u.from:u.glue]...)
	// The names that answers are about stand near the message's beginning, within reach.
	binary.BigEndian.PutUint16(w.body[at:], 0xc000|uint16(owner))
	w.setTTL(w.body[at:])
	return at
}

// setTTL changes the TTL of a rendered record, if the answer has one of its own.
func (w *worker) setTTL(record []byte) {
	if w.ttlSet {
		binary.BigEndian.PutUint32(record[ownerSize+4:], w.ttl)
	}
}

// addBeside adds what stands beside an SRV record whose target's name stands at at.
func (w *worker) addBeside(p *plan, u *unit, at int) {
	w.addRecords(p.bytes[u.glue:u.to], at)
	switch u.text {
	case noText:
	case hostTarget:
		w.addHost(at)
	default:
		w.texts = append(w.texts, textOwner{u.text, at})
	}
}

// addRecords adds rendered records, whose owner's name stands at at.
func (w *worker) addRecords(records []byte, at int) {
	for len(records) > 0 {
		size := renderedSize(records)
		w.addRecord(records[:size], at)
		records = records[size:]
	}
}

// renderedSize is how long the first of rendered records is.
func renderedSize(records []byte) int {
	const fixed = ownerSize + recordFixed
	return fixed + int(binary.BigEndian.Uint16(records[fixed-2:]))
}

func (w *worker) addRecord(record []byte, at int) {
	from := len(w.extra)
	if at <= maxPointer {
		w.extra = append(w.extra, record...)
		binary.BigEndian.PutUint16(w.extra[from:], 0xc000|uint16(at))
	} else {
		w.extra = append(w.extra, w.name(at)...)
		from = len(w.extra) - ownerSize
		w.extra = append(w.extra, record[ownerSize:]...)
	}
	w.setTTL(w.extra[from:])
	w.additional++
}

// addTexts adds the metadata of the nodes that SRV records name, once for each, as far
// as there is room.
func (w *worker) addTexts(p *plan) {
	w.described.reset()
	for _, t := range w.texts {
		if !w.described.add(t.text) {
			continue
		}
		text := p.texts[t.text]
		for records := p.bytes[text.from:text.to]; len(records) > 0; {
			size := renderedSize(records)
			k := w.mark()
			w.addRecord(records[:size], t.at)
			if !w.fits() {
				w.takeBack(k)
				return
			}
			records = records[size:]
		}
	}
}

// addHost adds the addresses of a host whose name stands at at, if it is ours.
func (w *worker) addHost(at int) {
	l := &w.beside
	w.parse(l, w.name(at))
	switch l.kind {
	case kindKeyed:
		w.addKeyedHost(at, l)
	case kindAddress:
		w.addAddress(at, l.address, w.nodeTTLs.other)
	case kindNode:
		if n := w.index.Node(view(l.name)); n != nil {
			e := nodeEndpoint(n)
			w.addAddresses(at, &e, w.nodeTTLs.of(n.Name))
		}
	case kindService:
		s := w.index.Service(view(l.name))
		if s == nil {
			return
		}
		p := w.plan(s, planAddresses, l.zone, l.tag, "")
		for i := range p.units[:min(len(p.units), maxAliasGlue)] {
			u := &p.units[i]
			w.addRecord(p.bytes[u.from:u.glue], at)
		}
	}
}

func (w *worker) addAddresses(at int, e *endpoint, ttl uint32) {
	if e.v4.IsValid() {
		w.addAddress(at, e.v4, ttl)
	}
	if e.v6.IsValid() {
		w.addAddress(at, e.v6, ttl)
	}
}

func (w *worker) addAddress(at int, ip netip.Addr, ttl uint32) {
	w.extra = w.appendAddress(w.extra, at, ip, ttl)
	w.additional++
}
