package dnsserver

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"

	"herald/registry"
	"herald/registry/catalog"

	"github.com/miekg/dns"
)

// plan is what the instances of a service come to in answers of one sort: every record,
// rendered, with how large its share is. It hangs off the catalog's entry of the
// service, so that the records are made once for each change of it, and the next answer after a
// change is of what changed. It is immutable.
//
// An answer chooses the order and how much fits. What depends on the query is set where a record is copied:
// the pointer to its owner, which its first two bytes are.
//
// All of a unit stands in one place, what is beside a record right after it: among a million
// instances nothing is in the processor's caches, and an answer costs what it has to fetch.
type plan struct {
	bytes []byte
	units []unit
	// instances is how many there are to answer with. If none, the name does not exist.
	instances int
	// preferred is how many units, the first, come before the others in any order.
	preferred int
	// shares are those of the preferred units, and of the others.
	shares [2]shares
	// texts are the metadata of the nodes that SRV records name.
	texts []span
	// addressed says that some instance has an address of either family. If none has, hosts
	// are the host names that they have instead.
	addressed bool
	hosts     []string
}

// unit is one record of an answer, in plan.bytes from from to glue, and until to the addresses of the target that it names if it is
// an SRV record. Their owner is the name within that.
type unit struct {
	share          uint64
	from, glue, to uint32
	text           int32 // which of plan.texts is of the target, or one of those below
}

const (
	noText = -1
	// hostTarget says that the target is a host name, whose addresses, if it is one of ours, are found when they are
	// asked for: they are of another entry of the catalog.
	hostTarget = -2
)

// span is a part of plan.bytes.
type span struct{ from, to uint32 }

// planKind is a sort of answer.
type planKind uint8

const (
	planA planKind = iota
	planAAAA
	planAddresses // both
	planSRV
	planKinds
)

// kindOfPlan is the sort of plan that answers questions of a type.
func kindOfPlan(qtype uint16) planKind {
	switch qtype {
	case dns.TypeAAAA:
		return planAAAA
	case dns.TypeANY:
		return planAddresses
	case dns.TypeSRV:
		return planSRV
	}
	return planA
}

// planKey tells the plans of one service apart.
type planKey struct {
	kind planKind
	zone *zone  // that targets are named in
	tag  string // in lower case
	// near is what the metadata of the instances that are preferred has under
	// responder.zoneMeta; "" if none are.
	near string
}

// maxPlans bounds how many plans a service keeps beside the common ones. What is not kept is made again for each query.
const maxPlans = 64

// plans are those of one service, for one responder.
type plans struct {
	// common are those without a tag, in the first zone, with nothing preferred.
	common [planKinds]atomic.Pointer[plan]
	// others is copied when one is added.
	others atomic.Pointer[map[planKey]*plan]
}

// plan is what the instances of a service, those with a tag where it is not empty, come to.
func (r *responder) plan(s *catalog.Service, kind planKind, z *zone, tag []byte, near string) *plan {
	kept, _ := s.Derived(r).(*plans)
	if kept == nil {
		kept = s.Derive(r, &plans{}).(*plans)
	}
	if kind != planSRV {
		z = r.primary // addresses are the same in every zone
	}
	if len(tag) == 0 && near == "" && z == r.primary {
		at := &kept.common[kind]
		p := at.Load()
		if p == nil {
			p = r.newPlan(s.Name, s.Serving(r.onlyPassing), kind, z, nil)
			at.Store(p) // who makes the same at the same time makes an equal one
		}
		return p
	}
	if others := kept.others.Load(); others != nil {
		if p := (*others)[planKey{kind, z, string(tag), near}]; p != nil {
			return p
		}
	}
	instances := tagged(s, s.Serving(r.onlyPassing), tag)
	if len(instances) == 0 {
		return noPlan // not kept: there are as many tags that nobody has as one likes
	}
	p := r.newPlan(s.Name, instances, kind, z, r.inZone(near))
	kept.keep(planKey{kind, z, string(tag), near}, p)
	return p
}

// noPlan is that of no instances.
var noPlan = &plan{}

func (k *plans) keep(key planKey, p *plan) {
	for {
		old := k.others.Load()
		next := map[planKey]*plan{}
		if old != nil {
			if len(*old) >= maxPlans {
				return
			}
			next = maps.Clone(*old)
		}
		next[key] = p
		if k.others.CompareAndSwap(old, &next) {
			return
		}
	}
}

// tagged are those of a service's instances that have a tag, in whatever case.
func tagged(s *catalog.Service, all []*catalog.Instance, tag []byte) []*catalog.Instance {
	if len(tag) == 0 {
		return all
	}
	has := func(tags []string) bool {
		for _, t := range tags {
			if foldsTo(t, tag) {
				return true
			}
		}
		return false
	}
	if !has(s.Tags()) {
		return nil
	}
	var some []*catalog.Instance
	for _, i := range all {
		if has(i.Tags) {
			some = append(some, i)
		}
	}
	return some
}

// foldsTo reports whether a text is, in lower case, another one. Only ASCII has cases, as in DNS.
func foldsTo(text string, folded []byte) bool {
	if len(text) != len(folded) {
		return false
	}
	for i := range folded {
		if lower(text[i]) != folded[i] {
			return false
		}
	}
	return true
}

// planner makes a plan; it is reused.
type planner struct {
	*responder
	*plan
	service string
	kind    planKind
	zone    *zone
	message message // its body will be the plan's bytes, and units its units

	units     []unit
	ttl       uint32
	addresses places[addressKey] // of units, by what they say
	services  places[serviceKey]
	described places[string] // of plan.texts, by node
	named     seen[string]   // the plan's hosts
}

// newPlan makes the plan of instances of the service of that name, all of which are to be answered with:
// those that prefer picks first, if it is not nil.
func (r *responder) newPlan(service string, instances []*catalog.Instance, kind planKind, z *zone, prefer func(*catalog.Instance) bool) *plan {
	if len(instances) == 0 {
		return noPlan
	}
	p, _ := r.planners.Get().(*planner)
	if p == nil {
		p = &planner{}
	}
	defer p.release(r)
	p.responder, p.plan, p.service, p.kind, p.zone, p.ttl = r, &plan{instances: len(instances)}, service, kind, z, r.serviceTTLs.of(service)
	if prefer != nil {
		for _, i := range instances {
			if prefer(i) {
				p.add(i)
			}
		}
		p.preferred = len(p.units)
	}
	for _, i := range instances {
		if prefer == nil || !prefer(i) {
			p.add(i)
		}
	}
	p.plan.bytes, p.plan.units = bytes.Clone(p.message.body), slices.Clone(p.units)
	p.shares = [2]shares{newShares(p.units[:p.preferred]), newShares(p.units[p.preferred:])}
	return p.plan
}

// release returns a planner for reuse, without what it would keep alive.
func (p *planner) release(r *responder) {
	p.plan, p.service = nil, ""
	p.units, p.message.body = p.units[:0], p.message.body[:0]
	p.addresses.reset()
	p.services.reset()
	p.described.reset()
	p.named.reset()
	r.planners.Put(p)
}

// add adds the records of an instance.
func (p *planner) add(i *catalog.Instance) {
	e := p.endpoint(i)
	switch {
	case p.kind == planSRV:
		p.addService(i, &e)
	case e.host == "":
		p.addressed = true
		p.addAddress(i, e.v4)
		p.addAddress(i, e.v6)
	case p.named.add(e.host):
		p.hosts = append(p.hosts, e.host)
	}
}

// endpoint is where an instance is reached. One whose address is a name of its
// own service is at its node: following the name would lead back here.
func (p *planner) endpoint(i *catalog.Instance) endpoint {
	e := instanceEndpoint(i)
	if e.host == "" || !e.own {
		return e
	}
	var wire [maxName]byte
	name, ok := appendName(wire[:0], e.host)
	if !ok {
		return e
	}
	var to lookup
	if p.parse(&to, name); to.kind == kindService && foldsTo(p.service, to.name) {
		return nodeEndpoint(i.Host)
	}
	return e
}

// addAddress adds an A or AAAA record, if its kind is the plan's. Instances at one address
// share its record, and it has all their shares.
func (p *planner) addAddress(i *catalog.Instance, ip netip.Addr) {
	switch {
	case !ip.IsValid(), p.kind == planA && !ip.Is4(), p.kind == planAAAA && ip.Is4():
		return
	}
	if n, ok := p.addresses.of(ip, len(p.units)); ok {
		p.units[n].share += share(weight(i))
		return
	}
	from := len(p.message.body)
	p.message.body = p.message.appendAddress(p.message.body, 0, ip, p.ttl)
	p.units = append(p.units, unit{from: uint32(from), glue: p.end(), to: p.end(), share: share(weight(i)), text: noText})
}

// end is where the next record begins.
func (p *planner) end() uint32 { return uint32(len(p.message.body)) }

// addService adds the SRV record of an instance. Records that would be equal come once.
func (p *planner) addService(i *catalog.Instance, e *endpoint) {
	if i.Port < 0 || i.Port > 1<<16-1 {
		return
	}
	m := &p.message
	from := len(m.body)
	w := weight(i)
	m.body = m.record(m.body, 0, dns.TypeSRV, p.ttl)
	data := len(m.body)
	m.body = appendSRV(m.body, w, uint16(i.Port))
	named, ok := p.appendTarget(i, e)
	if !ok {
		m.body = m.body[:from]
		return
	}
	key := serviceKey{named, uint16(i.Port), w}
	if n, ok := p.services.of(key, len(p.units)); ok {
		p.units[n].share += share(w)
		m.body = m.body[:from]
		return
	}
	endRecord(m.body, data)
	u := unit{from: uint32(from), glue: p.end(), share: share(w), text: noText}
	p.appendGlue(i, named)
	u.to = p.end()
	switch {
	case named.host != "":
		u.text = hostTarget
	case named.node != "" && p.nodeMeta:
		u.text = p.text(i.Host)
	}
	p.units = append(p.units, u)
}

// appendTarget writes the target of an instance's SRV record: its own address,
// spelled as a name; the node's name, or its address where the name cannot be
// one of DNS; or the host name that either has for an address.
func (p *planner) appendTarget(i *catalog.Instance, e *endpoint) (targetKey, bool) {
	var ok bool
	m := &p.message
	if e.host != "" {
		m.body, ok = appendName(m.body, e.host)
		return targetKey{host: e.host}, ok
	}
	if !e.own {
		if m.body, ok = p.speller.node(m.body, i.Host.Name, p.zone); ok {
			return targetKey{node: i.Host.Name}, true
		}
	}
	if !e.main.IsValid() {
		return targetKey{}, false
	}
	m.body = p.speller.address(m.body, e.main, p.zone)
	return targetKey{address: e.main}, true
}

// appendGlue writes the addresses of a target, if they are known.
func (p *planner) appendGlue(i *catalog.Instance, key targetKey) {
	m := &p.message
	switch {
	case key.address.IsValid():
		m.body = m.appendAddress(m.body, 0, key.address, p.ttl)
	case key.node != "":
		e, ttl := nodeEndpoint(i.Host), p.nodeTTLs.of(i.Host.Name)
		for _, ip := range []netip.Addr{e.v4, e.v6} {
			if ip.IsValid() {
				m.body = m.appendAddress(m.body, 0, ip, ttl)
			}
		}
	}
}

// text is which of plan.texts is the node's metadata, which may be none.
func (p *planner) text(n *catalog.Node) int32 {
	at, ok := p.described.of(n.Name, len(p.texts))
	if !ok {
		from := p.end()
		p.message.body = p.appendTexts(p.message.body, &n.Node, p.nodeTTLs.of(n.Name))
		p.texts = append(p.texts, span{from, p.end()})
	}
	return int32(at)
}

func (p *planner) appendTexts(b []byte, n *registry.Node, ttl uint32) []byte {
	for _, text := range nodeTexts(n) {
		b, _ = p.message.appendText(b, 0, text, ttl) // one that no record can hold is left out
	}
	return b
}

// share is how much an instance of that weight counts for in the order. One of weight 0 comes
// first now and then, as RFC 2782 wants.
func share(weight uint16) uint64 { return max(1, uint64(weight)<<8) }
