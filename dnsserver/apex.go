package dnsserver

import (
	"encoding/binary"

	"herald/registry/catalog"

	"github.com/miekg/dns"
)

const (
	// serversService is the service that the servers register themselves as.
	serversService = "consul"
	// maxServers is how many name servers are named.
	maxServers = 3
	// labelMailbox begins the SOA's mailbox.
	labelMailbox = "hostmaster"

	// What the SOA tells secondary servers, in seconds. There are none.
	soaRefresh = 3600
	soaRetry   = 600
	soaExpire  = 86400
)

// apex answers for a zone itself.
func (w *worker) apex(owner int, l *lookup) outcome {
	list := w.list()
	if w.wants(dns.TypeSOA) {
		k := w.mark()
		w.appendSOA(owner, l.zone)
		w.keep(k)
	}
	if w.wants(dns.TypeNS) {
		for _, n := range w.serverNodes() {
			w.nsAnswer(owner, n, w.zoneFor(l))
		}
	}
	return list.outcome()
}

// zoneFor is the zone that the names in an answer to l are of.
func (w *worker) zoneFor(l *lookup) *zone {
	if l.zone.reverse {
		return w.primary
	}
	return l.zone
}

func (w *worker) nsAnswer(owner int, n *catalog.Node, z *zone) {
	k := w.mark()
	w.body = w.record(w.body, owner, dns.TypeNS, w.nodeTTLs.of(n.Name))
	data := len(w.body)
	var ok bool
	if w.body, ok = w.speller.node(w.body, n.Name, z); !ok {
		w.takeBack(k)
		return
	}
	endRecord(w.body, data)
	e := nodeEndpoint(n)
	w.addAddresses(data, &e, w.nodeTTLs.of(n.Name))
	w.keep(k)
}

// servers answers for the name that the SOA gives for the primary server: with the
// addresses of the servers.
func (w *worker) servers(owner int) outcome {
	w.addresses.reset()
	list := w.list()
	for _, n := range w.serverNodes() {
		e := nodeEndpoint(n)
		if !w.addressAnswers(&list, owner, &e, w.nodeTTLs.of(n.Name)) {
			break
		}
	}
	return list.outcome()
}

// serverNodes are some of the servers, in random order; where none is known, this
// process's node.
func (w *worker) serverNodes() []*catalog.Node {
	w.instances = w.instances[:0]
	if s := w.index.Service(serversService); s != nil {
		w.instances = append(w.instances, s.Serving(false)...)
		if len(w.instances) == 0 {
			w.instances = append(w.instances, s.Instances()...)
		}
	}
	var nodes []*catalog.Node
	for n := range w.instances {
		host := w.next(n).Host
		if len(nodes) == maxServers {
			break
		}
		if !containsNode(nodes, host.Name) {
			nodes = append(nodes, host)
		}
	}
	if n := w.index.Node(w.local); len(nodes) == 0 && n != nil {
		nodes = append(nodes, n)
	}
	return nodes
}

// next moves a random one of the instances from n on to n, and returns it: taken
// for n = 0, 1, 2 … the instances come in an order of which each is as likely.
func (w *worker) next(n int) *catalog.Instance {
	k := n + w.random.IntN(len(w.instances)-n)
	w.instances[n], w.instances[k] = w.instances[k], w.instances[n]
	return w.instances[n]
}

func containsNode(nodes []*catalog.Node, name string) bool {
	for _, n := range nodes {
		if n.Name == name {
			return true
		}
	}
	return false
}

// authoritySOA adds the SOA of a name's zone to the authority section: an answer
// that says no is remembered by it, for as long as its minimum (RFC 2308). The
// name stands at owner.
func (w *worker) authoritySOA(owner int, l *lookup) {
	k := w.mark()
	w.appendSOA(owner+l.zoneAt, l.zone)
	if !w.fits() {
		w.takeBack(k)
		w.truncated = true
		return
	}
	w.authority++
}

// appendSOA appends the SOA record of a zone whose name stands at at.
func (w *worker) appendSOA(at int, z *zone) {
	w.body = w.record(w.body, at, dns.TypeSOA, w.negativeTTL)
	data := len(w.body)
	for _, label := range []string{labelServers, labelMailbox} {
		w.body = appendLabel(w.body, label)
		if z.keyed && label == labelServers {
			w.body = appendLabel(w.body, labelInfrastructure)
		}
		if z.reverse {
			w.body = append(w.body, w.primary.name...)
		} else {
			w.body = binary.BigEndian.AppendUint16(w.body, 0xc000|uint16(at))
		}
	}
	// The serial rises with every change of the catalog, or of the records of keyed zones, modulo 2^32 as RFC 1982
	// wants.
	serial := w.index.Revision()
	if z.keyed {
		serial = w.records().Revision()
	}
	for _, v := range []uint32{uint32(serial), soaRefresh, soaRetry, soaExpire, w.negativeTTL} {
		w.body = binary.BigEndian.AppendUint32(w.body, v)
	}
	endRecord(w.body, data)
}
