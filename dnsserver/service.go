package dnsserver

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"herald/registry"
	"herald/registry/catalog"

	"github.com/miekg/dns"
)

const (
	srvPriority = 1
	// srvFixed is what stands before the target in an SRV record's data.
	srvFixed = 6
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

// textOwner is a node whose metadata may follow, and where its name is.
type textOwner struct {
	node *registry.Node
	at   int
}

// service answers for a service, or those of its instances that have a tag.
func (w *worker) service(owner int, l *lookup, depth int) end {
	instances := w.serving(l.name, l.tag)
	if len(instances) == 0 {
		return end{noName, owner, l}
	}
	w.instances = append(w.instances[:0], instances...)
	if w.query.qtype == dns.TypeSRV {
		return end{w.srv(owner, l), owner, l}
	}
	return w.serviceAddresses(owner, l, depth)
}

// serving are the instances of a service that are to be answered with.
func (w *worker) serving(name, tag string) []*catalog.Instance {
	s := w.index.Service(name)
	if s == nil {
		return nil
	}
	all := s.Serving(w.onlyPassing)
	if tag == "" {
		return all
	}
	var some []*catalog.Instance
	for _, i := range all {
		for _, t := range i.Tags {
			if strings.EqualFold(t, tag) {
				some = append(some, i)
				break
			}
		}
	}
	return some
}

// next moves a random one of the instances from n on to n, and returns it: taken
// for n = 0, 1, 2 … the instances come in an order of which each is as likely.
func (w *worker) next(n int) *catalog.Instance {
	k := n + w.random.IntN(len(w.instances)-n)
	w.instances[n], w.instances[k] = w.instances[k], w.instances[n]
	return w.instances[n]
}

// endpoint is where an instance of the service that l asks for is reached. One
// whose address is a name of that very service is at its node: following
// the name would lead back here.
func (w *worker) endpoint(i *catalog.Instance, l *lookup) endpoint {
	e := instanceEndpoint(i)
	if e.host == "" || !e.own {
		return e
	}
	var wire [maxName]byte
	name, ok := appendName(wire[:0], e.host)
	if !ok {
		return e
	}
	if to := w.parse(name); to.kind == kindService && to.name == l.name {
		return nodeEndpoint(i.Host)
	}
	return e
}

// serviceAddresses writes A and AAAA records, or follows one of the host names
// that the instances have for addresses. A name that has an address of either
// family is no alias, since a CNAME stands for every type (RFC 1034).
func (w *worker) serviceAddresses(owner int, l *lookup, depth int) end {
	w.addresses.reset()
	var host string
	addressed := false
	list := w.list()
	for n := range w.instances {
		e := w.endpoint(w.next(n), l)
		if e.host != "" {
			host = e.host
			continue
		}
		addressed = true
		if !w.wantsAddresses() || !w.addressAnswers(&list, owner, &e, w.serviceTTL) {
			break
		}
	}
	if !addressed && host != "" {
		return w.alias(owner, l, host, w.serviceTTL, depth)
	}
	return end{list.outcome(), owner, l}
}

// srv writes SRV records, and what helps to reach their targets.
func (w *worker) srv(owner int, l *lookup) outcome {
	w.services.reset()
	w.targets.reset()
	w.texts = w.texts[:0]
	list := w.list()
	for n := range w.instances {
		i := w.next(n)
		if i.Port < 0 || i.Port > 1<<16-1 {
			continue
		}
		if !w.srvAnswer(&list, owner, i, l) {
			break
		}
	}
	if !w.truncated {
		w.addTexts()
	}
	return list.outcome()
}

// srvAnswer writes the record of one instance, and reports whether there may be
// more.
func (w *worker) srvAnswer(list *list, owner int, i *catalog.Instance, l *lookup) bool {
	e := w.endpoint(i, l)
	k := w.mark()
	w.body = w.record(w.body, owner, dns.TypeSRV, w.serviceTTL)
	data := len(w.body)
	share := weight(i)
	w.body = binary.BigEndian.AppendUint16(w.body, srvPriority)
	w.body = binary.BigEndian.AppendUint16(w.body, share)
	w.body = binary.BigEndian.AppendUint16(w.body, uint16(i.Port))
	target, ok := w.appendTarget(i, &e, l.zone)
	if !ok || !w.services.add(serviceKey{target, uint16(i.Port), share}) {
		w.takeBack(k)
		return true
	}
	if list.full() {
		w.takeBack(k)
		return false
	}
	endRecord(w.body, data)
	bare := w.mark()
	w.addTarget(data+srvFixed, i, target)
	if !w.fits() && list.empty() {
		w.takeBack(bare)
		w.truncated = true
	}
	return w.keep(k) || list.empty()
}

// appendTarget writes the target of an instance's SRV record: its own address,
// spelled as a name; the node's name, or its address where the name cannot be
// one of DNS; or the host name that either has for an address.
func (w *worker) appendTarget(i *catalog.Instance, e *endpoint, z *zone) (targetKey, bool) {
	var ok bool
	if e.host != "" {
		w.body, ok = appendName(w.body, e.host)
		return targetKey{host: e.host}, ok
	}
	if !e.own {
		if w.body, ok = w.speller.node(w.body, i.Host.Name, z); ok {
			return targetKey{node: i.Host.Name}, true
		}
	}
	if !e.main.IsValid() {
		return targetKey{}, false
	}
	w.body = w.speller.address(w.body, e.main, z)
	return targetKey{address: e.main}, true
}

// addTarget adds the addresses of an SRV record's target, whose name stands at
// at, unless they were added already.
func (w *worker) addTarget(at int, i *catalog.Instance, target targetKey) {
	if !w.targets.add(target) {
		return
	}
	switch {
	case target.host != "":
		w.addHost(at)
	case target.node != "":
		e := nodeEndpoint(i.Host)
		w.addAddresses(at, &e, w.nodeTTL)
		if w.nodeMeta && len(i.Host.Meta) > 0 {
			w.texts = append(w.texts, textOwner{&i.Host.Node, at})
		}
	default:
		w.addAddress(at, target.address, w.serviceTTL)
	}
}

// addHost adds the addresses of a host whose name stands at at, if it is ours.
func (w *worker) addHost(at int) {
	l := w.parse(w.name(at))
	switch l.kind {
	case kindAddress:
		w.addAddress(at, l.address, w.serviceTTL)
	case kindNode:
		if n := w.index.Node(l.name); n != nil {
			e := nodeEndpoint(n)
			w.addAddresses(at, &e, w.nodeTTL)
		}
	case kindService:
		some := w.serving(l.name, l.tag)
		w.addresses.reset()
		for _, i := range some[:min(len(some), maxAliasGlue)] {
			e := instanceEndpoint(i)
			for _, ip := range []netip.Addr{e.v4, e.v6} {
				if ip.IsValid() && w.addresses.add(ip) {
					w.addAddress(at, ip, w.serviceTTL)
				}
			}
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
