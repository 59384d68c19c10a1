package catalog

import (
	"fmt"

	"herald/registry"
)

// interner keeps one copy of strings that many records repeat, for as long as a
// builder lives.
type interner map[string]string

// internMost bounds an interner.
const internMost = 1 << 16

func (m interner) share(s string) string {
	if shared, ok := m[s]; ok {
		return shared
	}
	if len(m) >= internMost {
		clear(m)
	}
	m[s] = s
	return s
}

// readNode, readInstance and readCheck read a record whose key says what it is
// of. A record that contradicts its key is malformed. Names are taken from the
// key where they must be equal, so that there is one copy of each.

func readNode(id identity, kv *registry.KeyValue) (*Node, error) {
	r, err := DecodeNode(kv.Value)
	if err != nil {
		return nil, err
	}
	if fold(r.Name) != id.node {
		return nil, contradicts("node", r.Name)
	}
	return &Node{Node: r, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: kv.Lease}, nil
}

func (m interner) readInstance(id identity, kv *registry.KeyValue) (*Instance, error) {
	r, err := DecodeInstance(kv.Value)
	if err != nil {
		return nil, err
	}
	switch {
	case fold(r.Node) != id.node:
		return nil, contradicts("node", r.Node)
	case r.ID != id.instance:
		return nil, contradicts("instance", r.ID)
	case r.Service == "":
		return nil, fmt.Errorf("instance record: %w: no service name", registry.ErrCorrupt)
	}
	r.ID, r.Node, r.Service = id.instance, m.share(r.Node), m.share(r.Service)
	for at, tag := range r.Tags {
		r.Tags[at] = m.share(tag)
	}
	return &Instance{
		Instance: r, full: kv.Key[len("s\x00"):],
		CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: kv.Lease,
	}, nil
}

func (m interner) readCheck(id identity, kv *registry.KeyValue) (*Check, error) {
	r, err := DecodeCheck(kv.Value)
	if err != nil {
		return nil, err
	}
	switch {
	case fold(r.Node) != id.node:
		return nil, contradicts("node", r.Node)
	case r.ServiceID != id.instance:
		return nil, contradicts("instance", r.ServiceID)
	case r.ID != id.check:
		return nil, contradicts("check", r.ID)
	}
	r.ID, r.ServiceID = id.check, id.instance
	r.Node, r.Name, r.ServiceName, r.Kind = m.share(r.Node), m.share(r.Name), m.share(r.ServiceName), m.share(r.Kind)
	return &Check{Check: r, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: kv.Lease}, nil
}

func contradicts(what, name string) error {
	return fmt.Errorf("%w: the record names another %s, %.64q, than its key", registry.ErrCorrupt, what, name)
}
