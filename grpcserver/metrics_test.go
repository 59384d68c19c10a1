package grpcserver

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry/plugin"
)

// counted are metrics that can be asked: counters and how often histograms observed, by name
// and labels, and gauges by name.
type counted struct {
	mu     sync.Mutex
	counts map[string]int
	gauges map[string]func() float64
}

type countedVector struct {
	c    *counted
	name string
}

type countedOne struct {
	c   *counted
	key string
}

func (c *counted) Counter(name, _ string, _ ...string) plugin.Counter { return countedVector{c, name} }

func (c *counted) Histogram(name, _ string, _ ...string) plugin.Histogram {
	return countedHistogram{c, name}
}

type countedHistogram countedVector

func (c *counted) Gauge(name, _ string, read func() float64) { c.gauges[name] = read }

func (v countedVector) With(values ...string) interface{ Inc() } {
	return countedOne{v.c, v.name + " " + strings.Join(values, " ")}
}

func (v countedHistogram) With(values ...string) interface{ Observe(float64) } {
	return countedOne{v.c, v.name + " " + strings.Join(values, " ")}
}

func (o countedOne) Inc() {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	o.c.counts[o.key]++
}

func (o countedOne) Observe(seconds float64) {
	if seconds >= 0 && seconds < 3600 {
		o.Inc()
	}
}

func (c *counted) of(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[key]
}

func TestCallsAreCounted(t *testing.T) {
	c := &counted{counts: make(map[string]int), gauges: make(map[string]func() float64)}
	h := open(t, func(_ *Config, host *plugin.Host) { host.Metrics = c })
	kv := pb.NewKVClient(h.conn)
	for _, key := range []string{"a", "b", ""} {
		kv.Put(t.Context(), &pb.PutRequest{Key: []byte(key)}) // one of them fails
	}
	h.post("/v3/kv/put", `{"key":"YQ=="}`)
	if _, err := kv.Txn(t.Context(), &pb.TxnRequest{}); err != nil {
		t.Fatal(err)
	}
	// What a client was answered may be counted an instant later.
	for key, want := range map[string]int{
		"herald_etcd_requests_total KV/Put OK":              3,
		"herald_etcd_requests_total KV/Put InvalidArgument": 1,
		"herald_etcd_request_seconds KV/Put":                4,
		"herald_etcd_requests_total KV/Txn OK":              1,
		"herald_etcd_request_seconds KV/Txn":                1,
	} {
		until(t, fmt.Sprintf("%s is %d", key, want), func() bool { return c.of(key) == want })
	}
	if got := len(c.counts); got != 5 {
		t.Errorf("counted were %v", c.counts)
	}
}

func TestStreamsAndWatchesAreCounted(t *testing.T) {
	c := &counted{counts: make(map[string]int), gauges: make(map[string]func() float64)}
	h := open(t, func(_ *Config, host *plugin.Host) { host.Metrics = c })
	gauges := func(streams, watches float64) {
		t.Helper()
		until(t, fmt.Sprintf("%v streams and %v watches", streams, watches), func() bool {
			return c.gauges["herald_etcd_streams"]() == streams && c.gauges["herald_etcd_watches"]() == watches
		})
	}
	gauges(0, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := pb.NewWatchClient(h.conn).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("a")}}}
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	gauges(1, 3)
	r := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: 1}}}
	if err := stream.Send(r); err != nil {
		t.Fatal(err)
	}
	gauges(1, 2)
	cancel()
	gauges(0, 0)
	until(t, "the stream is counted", func() bool { return c.of("herald_etcd_requests_total Watch/Watch Canceled") == 1 })
	if n := c.of("herald_etcd_request_seconds Watch/Watch"); n != 0 {
		t.Errorf("%d streams were timed", n)
	}
}
