package catalog

import (
	"iter"
	"net/netip"
	"strings"

	"herald/registry"
	"herald/registry/cow"
)

// Index is everything in the catalog as it stood at one revision. It is
// immutable.
type Index struct {
	revision int64 // the space's
	// offset is what is added to a commit's revision to make a topic's. It is 0
	// unless the store has gone back in time (see Catalog.Follow).
	offset int64

	nodes     *cow.Map[string, *bucket]  // by folded name
	services  *cow.Map[string, *Service] // by folded name
	byName    table                      // the same, for lookups
	addresses *cow.Map[string, struct{}] // see address.go

	servicesRevision int64
	nodesRevision    int64
	checksRevision   int64
	goneServices     gone
	goneNodes        gone

	instances int // how many are shown
	hosts     int // how many nodes have a record
}

// bucket is all that is recorded under one node's name.
type bucket struct {
	// host is the node as its instances have it, and view as a lookup has it; nil
	// without a record.
	host, view *Node
	revision   int64                       // of the node's topic
	checks     []*Check                    // of the node itself
	slots      *cow.Map[string, *Instance] // by id
}

func emptyIndex() *Index {
	return &Index{
		nodes:     new(cow.Map[string, *bucket]),
		services:  new(cow.Map[string, *Service]),
		addresses: new(cow.Map[string, struct{}]),

		servicesRevision: 1,
		nodesRevision:    1,
		checksRevision:   1,
		goneServices:     noneGone(),
		goneNodes:        noneGone(),
	}
}

// Revision is that of the catalog's space which the index contains; 0 before
// the catalog was first read.
func (x *Index) Revision() int64 { return x.revision }

// TopicRevision is the revision of the last commit that changed what t is
// about; at least 1.
func (x *Index) TopicRevision(t Topic) int64 {
	t = t.folded()
	switch t.Kind {
	case KindServices:
		return x.servicesRevision
	case KindService:
		if s := x.byName.get(t.Name); s != nil {
			return s.Revision
		}
		return x.goneServices.revision(t.Name)
	case KindNodes:
		return x.nodesRevision
	case KindNode:
		if b, ok := x.nodes.Get(t.Name); ok && b.view != nil {
			return b.revision
		}
		return x.goneNodes.revision(t.Name)
	default:
		return x.checksRevision
	}
}

// Service returns a service by its name, in any case; nil if it has no
// instance.
func (x *Index) Service(name string) *Service {
	return x.byName.get(fold(name))
}

// Services yields the services by name.
func (x *Index) Services() iter.Seq[*Service] {
	return func(yield func(*Service) bool) {
		x.services.Scan(func(_ string, s *Service) bool { return yield(s) })
	}
}

// Node returns a node by its name, in any case; nil if it is not registered.
func (x *Index) Node(name string) *Node {
	if b, ok := x.nodes.Get(fold(name)); ok {
		return b.view
	}
	return nil
}

// Nodes yields the nodes by name.
func (x *Index) Nodes() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		x.nodes.Scan(func(_ string, b *bucket) bool { return b.view == nil || yield(b.view) })
	}
}

// Checks yields all checks that are shown, by node, each node's own before those
// of its instances.
func (x *Index) Checks() iter.Seq[*Check] {
	return func(yield func(*Check) bool) {
		for n := range x.Nodes() {
			for _, c := range n.Checks {
				if !yield(c) {
					return
				}
			}
			for _, i := range n.Instances() {
				for _, c := range i.Checks {
					if !yield(c) {
						return
					}
				}
			}
		}
	}
}

// Size is how much an Index holds.
type Size struct {
	Nodes     int
	Services  int
	Instances int
}

// Size counts what is shown, at no cost.
func (x *Index) Size() Size {
	return Size{Nodes: x.hosts, Services: x.services.Len(), Instances: x.instances}
}

// ByAddress returns the nodes with that address and the instances that have it
// as an address of their own, for reverse lookups. Tagged addresses do not
// count. Both are in order of their names.
func (x *Index) ByAddress(ip netip.Addr) ([]*Node, []*Instance) {
	var nodes []*Node
	var instances []*Instance
	prefix := addressPrefix(ip)
	x.addresses.Ascend(prefix, func(key string, _ struct{}) bool {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			return false
		}
		node, id, isInstance := strings.Cut(rest, separator)
		b, _ := x.nodes.Get(node)
		if !isInstance {
			nodes = append(nodes, b.view)
		} else if i, ok := b.slots.Get(id); ok {
			instances = append(instances, i)
		}
		return true
	})
	return nodes, instances
}

// highest is the highest revision that any topic may have.
func (x *Index) highest() int64 { return max(1, x.revision+x.offset) }

// eachKey calls yield with the key of every record that the index is made of.
func (x *Index) eachKey(yield func(key string)) {
	x.nodes.Scan(func(node string, b *bucket) bool {
		if b.host != nil {
			yield(NodeKey(node))
		}
		for _, c := range b.checks {
			yield(CheckKey(node, "", c.ID))
		}
		b.slots.Scan(func(id string, i *Instance) bool {
			if i.recorded() {
				yield(InstanceKey(node, id))
			}
			for _, c := range i.Checks {
				yield(CheckKey(node, id, c.ID))
			}
			return true
		})
		return true
	})
}

// holds reports whether the index was made from exactly this record.
func (x *Index) holds(kv *registry.KeyValue) bool {
	id, err := parseKey(kv.Key)
	if err != nil {
		return false
	}
	b, ok := x.nodes.Get(id.node)
	if !ok {
		return false
	}
	same := func(create, mod int64, lease registry.LeaseID, value []byte) bool {
		return create == kv.CreateRevision && mod == kv.ModRevision && lease == kv.Lease && string(value) == string(kv.Value)
	}
	switch id.kind {
	case nodeRecord:
		n := b.host
		return n != nil && same(n.CreateRevision, n.ModRevision, n.Lease, EncodeNode(n.Node))
	case instanceRecord:
		i, _ := b.slots.Get(id.instance)
		return i.recorded() && same(i.CreateRevision, i.ModRevision, i.Lease, EncodeInstance(i.Instance))
	default:
		checks := b.checks
		if id.instance != "" {
			i, ok := b.slots.Get(id.instance)
			if !ok {
				return false
			}
			checks = i.Checks
		}
		at, ok := findCheck(checks, id.check)
		return ok && same(checks[at].CreateRevision, checks[at].ModRevision, checks[at].Lease, EncodeCheck(checks[at].Check))
	}
}
