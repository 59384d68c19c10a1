package catalog

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"herald/registry"
)

// world is a catalog whose records a test writes, one commit at a time.
type world struct {
	x        *Index
	revision int64
	raised   map[Topic]struct{}
	bad      []string
}

func newWorld() *world { return &world{x: emptyIndex(), revision: 1} }

// commit applies puts (Op.Put) and deletes of single keys.
func (w *world) commit(ops ...registry.Op) *Index {
	w.revision++
	var events []registry.Event
	for _, o := range ops {
		if o.Put != nil {
			events = append(events, registry.Event{KV: registry.KeyValue{Key: o.Put.Key, Value: o.Put.Value, Lease: o.Put.Lease,
				CreateRevision: w.revision, ModRevision: w.revision, Version: 1}})
		} else {
			events = append(events, registry.Event{Type: registry.EventDelete, KV: registry.KeyValue{Key: o.Delete.Start, ModRevision: w.revision}})
		}
	}
	slices.SortFunc(events, func(a, b registry.Event) int { return strings.Compare(a.KV.Key, b.KV.Key) })
	b := w.x.edit(func(key string, _ error) { w.bad = append(w.bad, key) })
	b.commit(w.revision, events)
	w.x, w.raised = b.finish(), b.raised
	return w.x
}

func node(name string) registry.Op { return PutNode(registry.Node{Name: name}, 0) }

func instance(node, id, service string, tags ...string) registry.Op {
	return PutInstance(registry.Instance{Node: node, ID: id, Service: service, Tags: tags, Weights: registry.DefaultWeights()}, 0)
}

func check(node, of, id string, s registry.HealthStatus) registry.Op {
	return PutCheck(registry.Check{Node: node, ID: id, ServiceID: of, Status: s}, 0)
}

func TestStatusIsTheWorst(t *testing.T) {
	w := newWorld()
	w.commit(node("n"), instance("n", "i", "web"))
	status := func() registry.HealthStatus { return w.x.Service("web").Instances()[0].Status }
	for _, step := range []struct {
		op   registry.Op
		want registry.HealthStatus
	}{
		{check("n", "i", "a", registry.Warning), registry.Warning},
		{check("n", "i", "b", registry.Passing), registry.Warning},
		{check("n", "", "serfHealth", registry.Critical), registry.Critical},
		{check("n", "", "serfHealth", registry.Passing), registry.Warning},
		{DeleteCheck("n", "i", "a")[0], registry.Passing},
		{check("n", "i", "b", "no such status"), registry.Critical},
		{check("n", "i", "b", ""), registry.Passing},
		{check("other", "i", "b", registry.Critical), registry.Passing},
	} {
		w.commit(step.op)
		if got := status(); got != step.want {
			t.Errorf("after %+v: %s, want %s", step.op, got, step.want)
		}
	}
}

func TestInstanceWaitsForItsNode(t *testing.T) {
	w := newWorld()
	w.commit(check("N", "i", "c", registry.Warning))
	w.commit(instance("n", "i", "web"))
	if s := w.x.Service("web"); s != nil {
		t.Fatalf("an instance without a node is in service %+v", s)
	}
	if w.x.Size() != (Size{}) {
		t.Errorf("size %+v, want nothing", w.x.Size())
	}
	w.commit(node("N"))
	s := w.x.Service("WEB")
	if s == nil {
		t.Fatal("the node came, and its instance is not there")
	}
	i := s.Instances()[0]
	if i.Status != registry.Warning || len(i.Checks) != 1 || i.Node != "N" || i.Host.Name != "N" || s.Revision != w.revision {
		t.Errorf("got %+v at %d", i, s.Revision)
	}
	w.commit(DeleteNode("n")[0])
	if s := w.x.Service("web"); s != nil {
		t.Errorf("the node went, and its instance is in service %+v", s)
	}
	if got := w.x.TopicRevision(ServiceTopic("web")); got != w.revision {
		t.Errorf("the service's topic is at %d, want %d", got, w.revision)
	}
}

// One node's name in another case renames it, and it keeps what it has.
func TestNodeIsRenamed(t *testing.T) {
	w := newWorld()
	w.commit(node("n"), instance("n", "i", "web"), check("n", "i", "c", registry.Passing), check("n", "", "d", registry.Passing))
	w.commit(node("N"))
	i := w.x.Service("web").Instances()[0]
	if i.Node != "N" || i.Checks[0].Node != "N" || i.Host.Name != "N" || i.Host.Checks[0].Node != "N" || w.x.Node("n").Name != "N" {
		t.Errorf("not all of it has the new name: %+v", i)
	}
}

func TestServiceNames(t *testing.T) {
	w := newWorld()
	w.commit(node("b"), instance("b", "1", "Web"))
	if s := w.x.Service("wEB"); s == nil || s.Name != "Web" {
		t.Fatalf("got %+v", s)
	}
	w.commit(node("a"), instance("a", "1", "WEB"))
	s := w.x.Service("web")
	if s.Name != "WEB" || s.Len() != 2 {
		t.Errorf("the service is %q with %d instances, want WEB, as the first spells it, with 2", s.Name, s.Len())
	}
	if _, rose := w.raised[ServicesTopic]; !rose {
		t.Error("a name that is spelled otherwise did not raise ServicesTopic")
	}
}

func TestServicesTopicIsNotAboutInstances(t *testing.T) {
	w := newWorld()
	w.commit(node("n"), instance("n", "1", "web", "x"), instance("n", "2", "web"))
	at := w.x.TopicRevision(ServicesTopic)
	if at != w.revision {
		t.Fatalf("a new service left ServicesTopic at %d", at)
	}
	w.commit(check("n", "1", "c", registry.Critical))
	w.commit(instance("n", "3", "web", "x"))
	// The only instance with a tag loses it in the commit in which another gets it.
	w.commit(instance("n", "1", "web"), instance("n", "3", "web"), instance("n", "2", "web", "x"))
	w.commit(instance("n", "2", "web"), instance("n", "3", "web", "x"))
	w.commit(instance("n", "2", "web", "x"), instance("n", "3", "web"))
	if got := w.x.TopicRevision(ServicesTopic); got != at {
		t.Errorf("ServicesTopic rose to %d, and neither services nor tags changed", got)
	}
	w.commit(instance("n", "1", "web", "x", "y"))
	if got := w.x.TopicRevision(ServicesTopic); got != w.revision {
		t.Errorf("a new tag left ServicesTopic at %d", got)
	}
}

// A node-level check concerns every service on the node, and no other.
func TestNodeCheckRaisesItsServices(t *testing.T) {
	w := newWorld()
	w.commit(node("n"), node("m"), instance("n", "1", "web"), instance("n", "2", "db"), instance("m", "1", "mail"))
	at := w.revision
	w.commit(check("n", "", registry.NodeCheckID, registry.Critical))
	for name, want := range map[string]int64{"web": w.revision, "db": w.revision, "mail": at, "absent": 1} {
		if got := w.x.TopicRevision(ServiceTopic(name)); got != want {
			t.Errorf("%s is at %d, want %d", name, got, want)
		}
	}
	if len(w.x.Service("web").Serving(false)) != 0 || len(w.x.Service("mail").Serving(true)) != 1 {
		t.Error("the instances' health did not follow their node's")
	}
}

func TestAbsentTopicsNeverGoDown(t *testing.T) {
	w := newWorld()
	if got := w.x.TopicRevision(ServiceTopic("web")); got != 1 {
		t.Errorf("a service that never was is at %d, want 1", got)
	}
	w.commit(node("n"), instance("n", "1", "web"))
	w.commit(DeleteInstance("n", "1")[0])
	gone := w.revision
	w.commit(node("m"))
	if got := w.x.TopicRevision(ServiceTopic("Web")); got != gone {
		t.Errorf("a service that went at %d is at %d", gone, got)
	}
	w.commit(instance("n", "1", "web"))
	if got := w.x.TopicRevision(ServiceTopic("web")); got != w.revision {
		t.Errorf("a service that came back at %d is at %d", w.revision, got)
	}
	if n := w.x.goneServices.names.Len(); n != 0 {
		t.Errorf("%d services are remembered as gone", n)
	}
}

func TestGoneIsBounded(t *testing.T) {
	g := noneGone()
	highest := int64(0)
	for i := range int64(3 * goneMost) {
		highest = i + 2
		rest := g.rest
		if others := g.add(fmt.Sprint(i), highest); others != (g.rest > rest) {
			t.Fatalf("add %d said others rose: %v; they went from %d to %d", i, others, rest, g.rest)
		}
	}
	if g.names.Len() > goneMost {
		t.Errorf("%d names are kept", g.names.Len())
	}
	if got := g.revision(fmt.Sprint(3*goneMost - 1)); got != highest {
		t.Errorf("the last name is at %d, want %d", got, highest)
	}
	for _, i := range []int64{0, 5, goneMost} {
		if got := g.revision(fmt.Sprint(i)); got < i+2 {
			t.Errorf("forgotten name %d is at %d, below %d", i, got, i+2)
		}
	}
}

func TestMalformedRecords(t *testing.T) {
	w := newWorld()
	w.commit(node("n"), instance("n", "1", "web"))
	raw := func(key string, value []byte) registry.Op { return put(key, value, 0) }
	w.commit(
		raw("what is this", nil), raw("n\x00", nil), raw("s\x00n", nil), raw("c\x00n\x00\x00", nil),
		raw(NodeKey("m"), []byte{0xff}), raw(InstanceKey("n", "2"), EncodeInstance(registry.Instance{Node: "n", ID: "3", Service: "web"})),
		raw(InstanceKey("n", "4"), EncodeInstance(registry.Instance{Node: "n", ID: "4"})), raw(CheckKey("n", "1", "c"), []byte{0x0a}),
	)
	if len(w.bad) != 8 {
		t.Errorf("%d records were reported: %q", len(w.bad), w.bad)
	}
	if s := w.x.Size(); s != (Size{Nodes: 1, Services: 1, Instances: 1}) {
		t.Errorf("size %+v", s)
	}
	// One that was good and is not any more is gone.
	w.commit(raw(InstanceKey("n", "1"), []byte{0xff}))
	if w.x.Service("web") != nil || w.x.Size().Instances != 0 {
		t.Error("an instance whose record cannot be read is still there")
	}
	w.commit(registry.Op{Delete: &registry.DeleteRequest{KeyRange: registry.One("what is this")}})
	if len(w.bad) != 9 {
		t.Errorf("deletions were reported as malformed: %q", w.bad)
	}
}

func TestLeaseEndOfManyInstances(t *testing.T) {
	const n = 10_000
	w := newWorld()
	ops := []registry.Op{node("n"), node("other"), instance("other", "1", "s0")}
	var deletes []registry.Op
	for i := range n {
		id := fmt.Sprint(i)
		ops = append(ops, instance("n", id, fmt.Sprintf("s%d", i%10), "t"), check("n", id, "c", registry.Passing))
		deletes = append(deletes, DeleteInstance("n", id)[0], DeleteCheck("n", id, "c")[0])
	}
	w.commit(ops...)
	if got := w.x.Size(); got != (Size{Nodes: 2, Services: 10, Instances: n + 1}) {
		t.Fatalf("size %+v", got)
	}
	before := w.x
	w.commit(append(deletes, DeleteNode("n")[0])...)
	if got := w.x.Size(); got != (Size{Nodes: 1, Services: 1, Instances: 1}) {
		t.Errorf("size %+v", got)
	}
	if got := len(before.Service("s0").Instances()); got != n/10+1 {
		t.Errorf("the index from before has %d instances", got)
	}
}

// An Instance must not keep alive the versions of its node from before its
// neighbours came: that would be quadratic.
func TestNeighboursAreNotRetained(t *testing.T) {
	const n = 2000
	w := newWorld()
	w.commit(node("n"))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		w.commit(instance("n", fmt.Sprint(i), "web"))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > 2000 {
		t.Errorf("each of %d instances, added one at a time, takes %d bytes", n, each)
	}
	runtime.KeepAlive(w)
}
