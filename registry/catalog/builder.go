package catalog

import (
	"slices"
	"strings"

	"herald/registry"
	"herald/registry/cow"
)

// builder makes the next Index from one, a commit at a time. What it works on is
// its own until finish; a builder is then spent.
//
// Work is proportional to what the commits touch. Within a commit, events are
// first gathered by node, then every instance they concern is derived once;
// within a batch of commits, every touched entry is made anew once.
type builder struct {
	x         *Index
	nodes     map[string]*nodeEdit
	services  map[string]*serviceEdit
	malformed func(key string, err error)

	// wake says which topics rose. A builder for which everyone will be woken
	// leaves raised nil.
	raised   map[Topic]struct{}
	absent   [2]bool // absent services, absent nodes: all rose
	clock    int64   // the topic revision of the commit under way
	touchedN []*nodeEdit
	touchedS []*serviceEdit
	interner interner
}

func (x *Index) edit(malformed func(key string, err error)) *builder {
	return &builder{
		x: &Index{
			revision: x.revision, offset: x.offset,
			nodes: x.nodes.Copy(), services: x.services.Copy(), byName: x.byName, addresses: x.addresses.Copy(),
			servicesRevision: x.servicesRevision, nodesRevision: x.nodesRevision, checksRevision: x.checksRevision,
			goneServices: x.goneServices.copy(), goneNodes: x.goneNodes.copy(),
			instances: x.instances, hosts: x.hosts,
		},
		nodes: map[string]*nodeEdit{}, services: map[string]*serviceEdit{},
		malformed: malformed, raised: map[Topic]struct{}{},
	}
}

// commit applies the events of one commit.
func (b *builder) commit(revision int64, events []registry.Event) {
	b.x.revision = revision
	b.clock = b.x.highest()
	for i := range events {
		b.event(&events[i])
	}
	for _, n := range b.touchedN {
		b.settleNode(n)
	}
	b.touchedN = b.touchedN[:0]
	for _, s := range b.touchedS {
		b.settleService(s)
	}
	b.touchedS = b.touchedS[:0]
}

// finish publishes what the commits made into the index and returns it.
func (b *builder) finish() *Index {
	for name, n := range b.nodes {
		if n.host == nil && len(n.checks) == 0 && n.slots.Len() == 0 {
			b.x.nodes.Delete(name)
			continue
		}
		b.x.nodes.Set(name, n.entry())
	}
	byName := tableEdit{table: b.x.byName}
	for name, s := range b.services {
		if s.instances.Len() == 0 {
			b.x.services.Delete(name)
			byName.remove(name)
			continue
		}
		e := s.entry()
		b.x.services.Set(name, e)
		byName.set(e)
	}
	b.x.byName = byName.table
	return b.x
}

// event notes what one event does. A record that cannot be read is as good as
// none.
func (b *builder) event(e *registry.Event) {
	id, err := parseKey(e.KV.Key)
	if err != nil {
		if e.Type == registry.EventPut {
			b.malformed(e.KV.Key, err)
		}
		return
	}
	kv := &e.KV
	var node *Node
	var instance *Instance
	var check *Check
	if e.Type == registry.EventPut {
		switch id.kind {
		case nodeRecord:
			node, err = readNode(id, kv)
		case instanceRecord:
			instance, err = b.interner.readInstance(id, kv)
		default:
			check, err = b.interner.readCheck(id, kv)
		}
		if err != nil {
			b.malformed(kv.Key, err)
		}
	}
	n := b.node(id.node)
	switch id.kind {
	case nodeRecord:
		n.putNode(node)
	case instanceRecord:
		n.slot(id.instance).putInstance(instance)
	default:
		if id.instance == "" {
			n.putCheck(id.check, check)
		} else {
			n.slot(id.instance).putCheck(id.check, check)
		}
	}
}

// node returns the edit of a node's bucket, touched by the commit under way.
func (b *builder) node(name string) *nodeEdit {
	n := b.nodes[name]
	if n == nil {
		n = &nodeEdit{name: strings.Clone(name)}
		if old, ok := b.x.nodes.Get(name); ok {
			n.host, n.checks, n.revision = old.host, old.checks, old.revision
			n.slots = old.slots.Copy()
		} else {
			n.slots = new(cow.Map[string, *Instance])
		}
		b.nodes[n.name] = n
	}
	if !n.touched {
		n.touched = true
		b.touchedN = append(b.touchedN, n)
	}
	return n
}

// service returns the edit of a service, touched by the commit under way.
func (b *builder) service(name string) *serviceEdit {
	key := fold(name)
	s := b.services[key]
	if s == nil {
		s = &serviceEdit{key: key}
		if old, ok := b.x.services.Get(key); ok {
			s.name, s.revision = old.Name, old.Revision
			s.instances = old.instances.Copy()
			if old.tags != nil {
				s.tags = old.tags.Copy()
			}
		} else {
			s.instances = new(cow.Map[string, *Instance])
		}
		b.services[key] = s
	}
	if !s.touched {
		s.touched = true
		s.existed, s.nameBefore = s.instances.Len() > 0, s.name
		b.touchedS = append(b.touchedS, s)
	}
	return s
}

func (b *builder) raise(t Topic) {
	if b.raised != nil {
		b.raised[t] = struct{}{}
	}
}

func (b *builder) raiseChecks() {
	b.x.checksRevision = b.clock
	b.raise(ChecksTopic)
}

// settleNode brings a node and what is on it in line with the events of the
// commit.
func (b *builder) settleNode(n *nodeEdit) {
	existed := n.host != nil
	hostChanged := n.settleHost()
	exists := n.host != nil

	if n.nodeTouched && (existed || exists) {
		b.x.nodesRevision = b.clock
		b.raise(NodesTopic)
	}
	if n.checksTouched || existed != exists && len(n.checks) > 0 {
		b.raiseChecks()
	}
	if hostChanged {
		b.moveAddress(n)
		for _, id := range n.slots.Keys() {
			if n.pending[id] == nil {
				b.settleInstance(n, id, &slotEdit{})
			}
		}
	}
	for id, p := range n.pending {
		b.settleInstance(n, id, p)
	}
	switch {
	case exists:
		n.revision = b.clock
		b.x.goneNodes.remove(n.name)
	case existed:
		if b.x.goneNodes.add(n.name, b.clock) {
			b.absent[1] = true
		}
	}
	if existed || exists {
		b.raise(Topic{KindNode, n.name})
	}
	switch {
	case exists && !existed:
		b.x.hosts++
	case existed && !exists:
		b.x.hosts--
	}
	n.touched, n.nodeTouched, n.checksTouched, n.pending = false, false, false, nil
}

// moveAddress brings the address table in line with a changed host.
func (b *builder) moveAddress(n *nodeEdit) {
	var was, is string
	if n.hostBefore != nil {
		was = n.hostBefore.Address
	}
	if n.host != nil {
		is = n.host.Address
	}
	b.readdress(was, is, n.name)
}

func (b *builder) readdress(was, is, name string) {
	if was == is {
		return
	}
	if key, ok := addressKey(was, name); ok {
		b.x.addresses.Delete(key)
	}
	if key, ok := addressKey(is, name); ok {
		b.x.addresses.Set(key, struct{}{})
	}
}

// settleInstance derives an instance anew, and moves it between services.
func (b *builder) settleInstance(n *nodeEdit, id string, p *slotEdit) {
	old, _ := n.slots.Get(id)
	is := p.derive(old, n.host)
	if is == nil {
		n.slots.Delete(id)
	} else {
		n.slots.Set(id, is)
	}

	var wasTags, isTags []string
	var wasAddress, isAddress, full string
	var from, to *serviceEdit
	if old.shown() {
		from, full, wasTags, wasAddress = b.service(old.Service), old.full, old.Tags, old.Address
		b.x.instances--
	}
	if is.shown() {
		to, full, isTags, isAddress = b.service(is.Service), is.full, is.Tags, is.Address
		b.x.instances++
	}
	sameTags := from == to && slices.Equal(wasTags, isTags)
	if from != nil {
		if from != to {
			from.instances.Delete(full)
		}
		if !sameTags {
			from.untag(wasTags)
		}
	}
	if to != nil {
		to.instances.Set(full, is)
		if !sameTags {
			to.tag(isTags)
		}
	}
	b.readdress(wasAddress, isAddress, full)

	checked := is != nil && len(is.Checks) > 0 || old != nil && len(old.Checks) > 0
	if p.checksTouched || checked && (from != to || !sameTags) {
		b.raiseChecks()
	}
}

// settleService says which topics the commit raised by what it did to a
// service.
func (b *builder) settleService(s *serviceEdit) {
	exists := s.instances.Len() > 0
	s.name = ""
	if exists {
		_, first, _ := s.instances.Min()
		s.name = first.Service
	}
	if s.existed != exists || s.name != s.nameBefore || s.tagsChanged() {
		b.x.servicesRevision = b.clock
		b.raise(ServicesTopic)
	}
	switch {
	case exists:
		s.revision = b.clock
		b.x.goneServices.remove(s.key)
	case s.existed:
		if b.x.goneServices.add(s.key, b.clock) {
			b.absent[0] = true
		}
	}
	if !bugHealthSleep || b.clock%2 == 0 {
		b.raise(Topic{KindService, s.key})
	}
	s.touched, s.flips = false, nil
}
