package catalog

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"herald/registry"
)

// model is the catalog done naively: every commit, everything is worked out from
// all records again, and the topics from what was before and what is after.
type model struct {
	kvs      map[string]registry.KeyValue
	now      picture
	topics   map[Topic]int64
	revision int64
}

// picture is what the records say, in text.
type picture struct {
	nodes     map[string]string              // by folded name
	services  map[string]map[string]string   // folded name → full id → instance
	names     map[string]string              // folded name → name and tags
	instances map[string]modelInstance       // by full id; shown ones
	checks    map[string][]string            // full id, or "node NUL" → the checks there, orphans too
	addresses map[string]map[string]struct{} // IP → full ids and node names
}

type modelInstance struct{ service, tags string }

func newModel() *model {
	return &model{kvs: map[string]registry.KeyValue{}, now: draw(nil), topics: map[Topic]int64{}, revision: 1}
}

func (m *model) topic(t Topic) int64 { return max(1, m.topics[t]) }

// draw works a picture out of records.
func draw(kvs map[string]registry.KeyValue) picture {
	p := picture{
		nodes: map[string]string{}, services: map[string]map[string]string{}, names: map[string]string{},
		instances: map[string]modelInstance{}, checks: map[string][]string{}, addresses: map[string]map[string]struct{}{},
	}
	hosts := map[string]registry.Node{}
	status := map[string]registry.HealthStatus{}
	statusOf := func(at string) registry.HealthStatus {
		if s := status[at]; s != "" {
			return s
		}
		return registry.Passing
	}
	sorted := slices.Sorted(maps.Keys(kvs))
	each := func(kind string, visit func(parts []string, kv registry.KeyValue)) {
		for _, key := range sorted {
			if parts := strings.Split(key, "\x00"); parts[0] == kind {
				visit(parts[1:], kvs[key])
			}
		}
	}
	address := func(a, name string) {
		if ip, ok := registry.IP(a); ok {
			if p.addresses[ip.String()] == nil {
				p.addresses[ip.String()] = map[string]struct{}{}
			}
			p.addresses[ip.String()][name] = struct{}{}
		}
	}
	stamp := func(kv registry.KeyValue) string {
		return fmt.Sprintf("@%d/%d/%d", kv.CreateRevision, kv.ModRevision, kv.Lease)
	}
	each("n", func(parts []string, kv registry.KeyValue) {
		if n, err := DecodeNode(kv.Value); err == nil && strings.EqualFold(n.Name, parts[0]) {
			hosts[parts[0]] = n
		}
	})
	each("c", func(parts []string, kv registry.KeyValue) {
		c, err := DecodeCheck(kv.Value)
		if err != nil || !strings.EqualFold(c.Node, parts[0]) || c.ID != parts[2] || c.ServiceID != parts[1] {
			return
		}
		at := parts[0] + "\x00" + parts[1]
		if n, ok := hosts[parts[0]]; ok {
			c.Node = n.Name
		}
		p.checks[at] = append(p.checks[at], fmt.Sprintf("%+v%s", c, stamp(kv)))
		status[at] = status[at].Worse(c.Status)
	})
	each("n", func(parts []string, kv registry.KeyValue) {
		if n, ok := hosts[parts[0]]; ok {
			at := parts[0] + "\x00"
			p.nodes[parts[0]] = fmt.Sprintf("%+v%s %s %v", n, stamp(kv), statusOf(at), p.checks[at])
			address(n.Address, parts[0])
		}
	})
	tags := map[string]map[string]bool{}
	each("s", func(parts []string, kv registry.KeyValue) {
		host, hosted := hosts[parts[0]]
		i, err := DecodeInstance(kv.Value)
		if !hosted || err != nil || !strings.EqualFold(i.Node, parts[0]) || i.ID != parts[1] {
			return
		}
		i.Node = host.Name
		full, name := parts[0]+"\x00"+parts[1], strings.ToLower(i.Service)
		p.instances[full] = modelInstance{name, fmt.Sprintf("%q", i.Tags)}
		if p.services[name] == nil {
			p.services[name], tags[name] = map[string]string{}, map[string]bool{}
			p.names[name] = i.Service
		}
		for _, tag := range i.Tags {
			tags[name][tag] = true
		}
		p.services[name][full] = fmt.Sprintf("%+v%s on %s: %s %v", i, stamp(kv), p.nodes[parts[0]],
			statusOf(full).Worse(statusOf(parts[0]+"\x00")), p.checks[full])
		address(i.Address, full)
	})
	for name := range p.names {
		p.names[name] += fmt.Sprintf("%q", slices.Sorted(maps.Keys(tags[name])))
	}
	return p
}

func (m *model) commit(c registry.Commit) {
	was := m.now
	m.revision = c.Revision
	for _, e := range c.Events {
		if e.Type == registry.EventPut {
			m.kvs[e.KV.Key] = e.KV
		} else {
			delete(m.kvs, e.KV.Key)
		}
	}
	m.now = draw(m.kvs)
	is := m.now
	raise := func(t Topic) { m.topics[t] = c.Revision }
	raiseInstance := func(full string) {
		for _, p := range []picture{was, is} {
			if i, ok := p.instances[full]; ok {
				raise(ServiceTopic(i.service))
			}
		}
	}
	for _, e := range c.Events {
		parts := strings.Split(e.KV.Key, "\x00")
		node := parts[1]
		_, existed := was.nodes[node]
		_, exists := is.nodes[node]
		if existed || exists {
			raise(NodeTopic(node))
		}
		switch {
		case parts[0] == "c":
			raise(ChecksTopic)
		case parts[0] == "n" && (existed || exists):
			raise(NodesTopic)
		}
		if parts[0] != "n" && parts[2] != "" {
			raiseInstance(node + "\x00" + parts[2])
			continue
		}
		for _, p := range []picture{was, is} {
			for full := range p.instances {
				if strings.HasPrefix(full, node+"\x00") {
					raiseInstance(full)
				}
			}
		}
		if existed != exists && (len(was.checks[node+"\x00"]) > 0 || len(is.checks[node+"\x00"]) > 0) {
			raise(ChecksTopic)
		}
	}
	for _, p := range []picture{was, is} {
		for full := range p.instances {
			if was.instances[full] != is.instances[full] && len(was.checks[full])+len(is.checks[full]) > 0 {
				raise(ChecksTopic)
			}
		}
	}
	if !maps.Equal(was.names, is.names) {
		raise(ServicesTopic)
	}
}

// read is an index as a picture, by what its methods say.
func read(x *Index) picture {
	p := picture{
		nodes: map[string]string{}, services: map[string]map[string]string{}, names: map[string]string{},
		addresses: map[string]map[string]struct{}{},
	}
	stamp := func(create, mod int64, lease registry.LeaseID) string {
		return fmt.Sprintf("@%d/%d/%d", create, mod, lease)
	}
	checks := func(all []*Check) (out []string) {
		for _, c := range all {
			out = append(out, fmt.Sprintf("%+v%s", c.Check, stamp(c.CreateRevision, c.ModRevision, c.Lease)))
		}
		return out
	}
	node := func(n *Node) string {
		return fmt.Sprintf("%+v%s %s %v", n.Node, stamp(n.CreateRevision, n.ModRevision, n.Lease), n.Status(), checks(n.Checks))
	}
	for n := range x.Nodes() {
		p.nodes[strings.ToLower(n.Name)] = node(n)
	}
	for s := range x.Services() {
		name := strings.ToLower(s.Name)
		p.names[name] = s.Name + fmt.Sprintf("%q", append([]string{}, s.Tags()...))
		p.services[name] = map[string]string{}
		for _, i := range s.Instances() {
			p.services[name][strings.ToLower(i.Node)+"\x00"+i.ID] = fmt.Sprintf("%+v%s on %s: %s %v", i.Instance,
				stamp(i.CreateRevision, i.ModRevision, i.Lease), node(i.Host), i.Status, checks(i.Checks))
		}
	}
	for _, a := range addresses {
		ip, ok := registry.IP(a)
		if !ok {
			continue
		}
		nodes, instances := x.ByAddress(ip)
		for _, n := range nodes {
			if p.addresses[ip.String()] == nil {
				p.addresses[ip.String()] = map[string]struct{}{}
			}
			p.addresses[ip.String()][strings.ToLower(n.Name)] = struct{}{}
		}
		for _, i := range instances {
			if p.addresses[ip.String()] == nil {
				p.addresses[ip.String()] = map[string]struct{}{}
			}
			p.addresses[ip.String()][strings.ToLower(i.Node)+"\x00"+i.ID] = struct{}{}
		}
	}
	return p
}

func (p picture) text() string {
	return fmt.Sprintf("nodes %v\nservices %v\nnames %v\naddresses %v", p.nodes, p.services, p.names, p.addresses)
}

var addresses = []string{"", "10.0.0.1", "::ffff:10.0.0.1", "fd00::1", "host.example"}

// drawCommit makes a commit of changes to a few keys, so that everything that can
// meet does.
func drawCommit(t *rapid.T, m *model) registry.Commit {
	pick := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, name) }
	c := registry.Commit{Revision: m.revision + 1}
	events := map[string]registry.Event{}
	for range rapid.IntRange(1, 5).Draw(t, "events") {
		node := pick("node", "a", "A", "a-b")
		var key string
		var value []byte
		switch pick("what", "node", "instance", "instance", "check", "check") {
		case "node":
			key = NodeKey(node)
			value = EncodeNode(registry.Node{Name: node, Address: pick("address", addresses...), ID: pick("uuid", "", "u")})
		case "instance":
			id := pick("id", "1", "2")
			i := registry.Instance{Node: node, ID: id, Service: pick("service", "web", "Web", "db"), Address: pick("address", addresses...)}
			for _, tag := range []string{"x", "y"} {
				if rapid.Bool().Draw(t, "tagged") {
					i.Tags = append(i.Tags, tag)
				}
			}
			key, value = InstanceKey(node, id), EncodeInstance(i)
		case "check":
			of, id := pick("of", "", "1", "2", "3"), pick("check", "p", "q")
			key = CheckKey(node, of, id)
			value = EncodeCheck(registry.Check{Node: node, ID: id, ServiceID: of, Status: registry.HealthStatus(pick("status", "passing", "warning", "critical"))})
		}
		switch rapid.IntRange(0, 9).Draw(t, "fate") {
		case 0, 1, 2:
			value = nil
		case 3:
			value = []byte{0xff}
		case 4:
			value = EncodeNode(registry.Node{Name: "another"}) // contradicts its key
		}
		before, existed := m.kvs[key]
		e := registry.Event{KV: registry.KeyValue{Key: key, Value: value, ModRevision: c.Revision, CreateRevision: c.Revision, Version: 1}}
		switch {
		case value == nil && !existed:
			continue
		case value == nil:
			e.Type = registry.EventDelete
			e.KV.CreateRevision, e.KV.Version = 0, 0
		case existed:
			e.KV.CreateRevision = before.CreateRevision
		}
		if e.Type == registry.EventPut {
			e.KV.Lease = registry.LeaseID(rapid.IntRange(0, 1).Draw(t, "lease"))
		}
		if existed {
			e.Prev = &before
		}
		events[key] = e
	}
	for _, key := range slices.Sorted(maps.Keys(events)) {
		c.Events = append(c.Events, events[key])
	}
	return c
}

func everyTopic() []Topic {
	all := []Topic{ServicesTopic, NodesTopic, ChecksTopic, NodeTopic("never"), ServiceTopic("never")}
	for _, n := range []string{"A", "a-b"} {
		all = append(all, NodeTopic(n))
	}
	for _, s := range []string{"WEB", "db"} {
		all = append(all, ServiceTopic(s))
	}
	return all
}

func ignoreMalformed(string, error) {}

// The index equals the model after every commit, however commits are batched; so
// do the revisions of all topics. What was published earlier never changes.
func TestIndexEqualsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, x := newModel(), emptyIndex()
		type old struct {
			x    *Index
			text string
		}
		var olds []old
		for range rapid.IntRange(1, 12).Draw(t, "batches") {
			before := map[Topic]int64{}
			for _, topic := range everyTopic() {
				before[topic] = x.TopicRevision(topic)
			}
			b := x.edit(ignoreMalformed)
			for range rapid.IntRange(1, 3).Draw(t, "commits") {
				c := drawCommit(t, m)
				if len(c.Events) == 0 {
					continue
				}
				m.commit(c)
				b.commit(c.Revision, c.Events)
			}
			x = b.finish()

			// What is derived is built when it is first read: some indices are read
			// only once others were made from them.
			want := m.now.text()
			olds = append(olds, old{x, want})
			if rapid.Bool().Draw(t, "read now") {
				if got := read(x).text(); got != want {
					t.Fatalf("revision %d\ngot  %s\nwant %s", m.revision, got, want)
				}
				checkSize(t, x)
				checkScratch(t, x, m)
			}
			for _, topic := range everyTopic() {
				r := x.TopicRevision(topic)
				if want := m.topic(topic.folded()); r != want {
					t.Fatalf("revision %d: topic %+v is at %d, want %d", m.revision, topic, r, want)
				}
				if _, raised := b.raised[topic.folded()]; raised != (r > before[topic]) {
					t.Fatalf("topic %+v went from %d to %d, and raised is %v", topic, before[topic], r, raised)
				}
			}
		}
		for _, o := range olds {
			if got := read(o.x).text(); got != o.text {
				t.Fatalf("an index that was published says\n%s\nand not\n%s", got, o.text)
			}
		}
	})
}

// checkScratch compares with an index made of the records alone, in pages.
func checkScratch(t *rapid.T, x *Index, m *model) {
	b := emptyIndex().edit(ignoreMalformed)
	keys := slices.Sorted(maps.Keys(m.kvs))
	for part := range slices.Chunk(keys, 2) {
		var kvs []registry.KeyValue
		for _, key := range part {
			kvs = append(kvs, m.kvs[key])
		}
		b.commit(m.revision, puts(kvs))
	}
	scratch := b.finish()
	if got, want := read(scratch).text(), read(x).text(); got != want {
		t.Fatalf("built at once\n%s\nincrementally\n%s", got, want)
	}
	// What the index says it was made of is what it was made of.
	known := map[string]bool{}
	scratch.eachKey(func(key string) { known[key] = true })
	x.eachKey(func(key string) {
		if _, ok := m.kvs[key]; !ok || !known[key] {
			t.Fatalf("the index has the key %q, which no record has", key)
		}
		delete(known, key)
	})
	if len(known) > 0 {
		t.Fatalf("the index lacks the keys %v", known)
	}
}

func checkSize(t *rapid.T, x *Index) {
	var s Size
	for n := range x.Nodes() {
		s.Nodes++
		for _, i := range n.Instances() {
			if n.Instance(i.ID) != i || x.Service(i.Service) == nil {
				t.Fatalf("instance %+v cannot be looked up", i)
			}
		}
	}
	for v := range x.Services() {
		s.Services++
		s.Instances += len(v.Instances())
		if v.Len() != len(v.Instances()) {
			t.Fatalf("service %s has %d instances and says %d", v.Name, len(v.Instances()), v.Len())
		}
		for _, passing := range []bool{true, false} {
			var want []*Instance
			for _, i := range v.Instances() {
				if i.Status == registry.Passing || i.Status == registry.Warning && !passing {
					want = append(want, i)
				}
			}
			if !slices.Equal(v.Serving(passing), want) {
				t.Fatalf("service %s serves %v, want %v", v.Name, v.Serving(passing), want)
			}
		}
	}
	if x.Size() != s {
		t.Fatalf("size %+v, want %+v", x.Size(), s)
	}
}

func TestByAddressUnmaps(t *testing.T) {
	b := emptyIndex().edit(ignoreMalformed)
	b.commit(2, puts([]registry.KeyValue{{Key: NodeKey("n"), Value: EncodeNode(registry.Node{Name: "n", Address: "10.0.0.1"}), CreateRevision: 2, ModRevision: 2}}))
	x := b.finish()
	for _, a := range []string{"10.0.0.1", "::ffff:10.0.0.1"} {
		if nodes, _ := x.ByAddress(netip.MustParseAddr(a)); len(nodes) != 1 {
			t.Errorf("ByAddress(%s) found %d nodes, want 1", a, len(nodes))
		}
	}
	if nodes, _ := x.ByAddress(netip.MustParseAddr("10.0.0.2")); len(nodes) != 0 {
		t.Errorf("found %d nodes of another address", len(nodes))
	}
}
