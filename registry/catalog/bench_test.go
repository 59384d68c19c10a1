package catalog

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"herald/registry"
)

// The catalog that is measured: services of ten instances each, nodes of ten
// instances each, a check on every instance and every node, a tag, an address of its
// own and a pair of meta data on every instance.
const perService, perNode = 10, 10

var sizes = []int{1_000, 100_000, 1_000_000}

func serviceName(i int) string  { return fmt.Sprintf("service-%d", i) }
func nodeName(i int) string     { return fmt.Sprintf("node-%d", i) }
func instanceName(i int) string { return fmt.Sprintf("instance-%d", i) }

// recordsOfInstance are the records of the i-th instance, and of its node if it is
// that node's first.
func recordsOfInstance(i, n int) []registry.KeyValue {
	host, id, service := nodeName(i/perNode), instanceName(i), serviceName(i%(n/perService))
	ip := fmt.Sprintf("10.%d.%d.%d", i>>16&0xff, i>>8&0xff, i&0xff)
	ops := []registry.Op{
		PutInstance(registry.Instance{Node: host, ID: id, Service: service, Tags: []string{"v1"}, Address: ip, Port: 8080,
			Meta: map[string]string{"team": "core"}, Weights: registry.DefaultWeights()}, 1),
		statusOf(i, n, registry.Passing),
	}
	if i%perNode == 0 {
		ops = append(ops, PutNode(registry.Node{Name: host, Address: ip}, 1),
			PutCheck(registry.Check{Node: host, ID: registry.NodeCheckID, Name: "Serf Health Status", Status: registry.Passing}, 1))
	}
	var kvs []registry.KeyValue
	for _, o := range ops {
		kvs = append(kvs, registry.KeyValue{Key: o.Put.Key, Value: o.Put.Value, Lease: 1, CreateRevision: 2, ModRevision: 2, Version: 1})
	}
	return kvs
}

func statusOf(i, n int, s registry.HealthStatus) registry.Op {
	service := serviceName(i % (n / perService))
	return PutCheck(registry.Check{Node: nodeName(i / perNode), ID: "service:" + instanceName(i), Name: "Service '" + service + "' check",
		Status: s, ServiceID: instanceName(i), ServiceName: service, Kind: "http"}, 1)
}

func buildIndex(n int) *Index {
	b := emptyIndex().edit(ignoreMalformed)
	b.raised = nil
	var kvs []registry.KeyValue
	for i := range n {
		kvs = append(kvs, recordsOfInstance(i, n)...)
		if len(kvs) >= pageKeys || i == n-1 {
			b.commit(2, puts(kvs))
			kvs = nil
		}
	}
	return b.finish()
}

var built = map[int]func() *Index{}

func init() {
	for _, n := range sizes {
		built[n] = sync.OnceValue(func() *Index { return buildIndex(n) })
	}
}

// A lookup is of a service and the instances that may be sent traffic.
func BenchmarkLookup(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("instances=%d", n), func(b *testing.B) {
			x := built[n]()
			names := make([]string, 1000)
			for i := range names {
				names[i] = serviceName(i * 7919 % (n / perService))
				x.Service(names[i]).Serving(false)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if got := x.Service(names[i%len(names)]).Serving(false); len(got) != perService {
					b.Fatalf("%d instances", len(got))
				}
			}
		})
	}
}

// An apply is one check that changes its status, in a commit of its own, until the
// index with it is published.
func BenchmarkApplyStatus(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("instances=%d", n), func(b *testing.B) {
			c := New()
			c.index.Store(built[n]())
			statuses := []registry.HealthStatus{registry.Critical, registry.Passing}
			var events [][]registry.Event
			for i := range 1000 {
				o := statusOf(i*7919%n, n, statuses[i/500])
				events = append(events, []registry.Event{{KV: registry.KeyValue{Key: o.Put.Key, Value: o.Put.Value, Lease: 1, CreateRevision: 2, Version: 2}}})
			}
			revision := int64(2)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				revision++
				e := events[i%len(events)]
				e[0].KV.ModRevision = revision
				edit := c.Index().edit(c.countMalformed)
				edit.commit(revision, e)
				c.publish(edit, nil)
			}
		})
	}
}

// A lease that ends takes ten thousand instances and their checks along, in one
// commit.
func BenchmarkApplyLeaseEnd(b *testing.B) {
	const n, ended = 100_000, 10_000
	x := built[n]()
	var events []registry.Event
	for i := range ended {
		for _, kv := range recordsOfInstance(i, n) {
			events = append(events, registry.Event{Type: registry.EventDelete, KV: registry.KeyValue{Key: kv.Key, ModRevision: 3}})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		edit := x.edit(ignoreMalformed)
		edit.commit(3, events)
		if got := edit.finish().Size().Instances; got != n-ended {
			b.Fatalf("%d instances are left", got)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/ended, "ns/instance")
}

// The memory of an index, its keys included and the records' values not.
func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("instances=%d", n), func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				x := buildIndex(n)
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/float64(n), "bytes/instance")
				runtime.KeepAlive(x)
			}
		})
	}
}
