package catalog

import (
	"fmt"

	"herald/registry"
)

// interner keeps one copy of what many records repeat, for as long as a builder
// lives.
type interner struct {
	strings map[string]string
	tags    map[string][]string
	meta    map[string]map[string]string
	scratch []byte
}

// internMost bounds an interner.
const internMost = 1 << 16

func (m *interner) share(s string) string {
	if shared, ok := m.strings[s]; ok {
		return shared
	}
	remember(&m.strings, s, s)
	return s
}

// shareTags and shareMeta share whole lists and maps. They recognise them by their
// encoding, which is canonical.

func (m *interner) shareTags(tags []string) []string {
	if len(tags) == 0 {
		return tags
	}
	m.scratch = appendTags(m.scratch[:0], tags)
	if shared, ok := m.tags[string(m.scratch)]; ok {
		return shared
	}
	for at, tag := range tags {
		tags[at] = m.share(tag)
	}
	remember(&m.tags, string(m.scratch), tags)
	return tags
}

func (m *interner) shareMeta(meta map[string]string) map[string]string {
	if len(meta) == 0 {
		return meta
	}
	m.scratch = appendStrings(m.scratch[:0], 1, meta)
	if shared, ok := m.meta[string(m.scratch)]; ok {
		return shared
	}
	remember(&m.meta, string(m.scratch), meta)
	return meta
}

func remember[V any](m *map[string]V, key string, v V) {
	if *m == nil || len(*m) >= internMost {
		*m = map[string]V{}
	}
	(*m)[key] = v
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

func (m *interner) readInstance(id identity, kv *registry.KeyValue) (*Instance, error) {
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
	r.Tags, r.Meta = m.shareTags(r.Tags), m.shareMeta(r.Meta)
	return &Instance{
		Instance: r, full: kv.Key[len("s\x00"):],
		CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: kv.Lease,
	}, nil
}

func (m *interner) readCheck(id identity, kv *registry.KeyValue) (*Check, error) {
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
