package httpserver

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// A crowd of queries that wait for services: crowdQueries for each of crowdServices.
const crowdServices, crowdQueries = 1000, 10

// woken is a query of a crowd that was answered.
type woken struct {
	service int
	// rendered is where the answer is in memory: queries that share it were answered by one evaluation.
	rendered *byte
	index    string
}

// sharer is a ResponseWriter that keeps where its answer came from.
type sharer struct {
	header http.Header
	body   *byte
}

func (w *sharer) Header() http.Header { return w.header }
func (w *sharer) WriteHeader(int)     {}
func (w *sharer) Write(b []byte) (int, error) {
	w.body = unsafe.SliceData(b)
	return len(b), nil
}

// crowd blocks queries through the whole door, the connections left out. Each ends when it is answered, or with the test.
type crowd struct {
	t      testing.TB
	h      *harness
	woken  chan woken
	ctx    context.Context
	asking sync.WaitGroup
}

func newCrowd(t testing.TB) *crowd {
	h := open(t)
	c := &crowd{t: t, h: h, woken: make(chan woken, crowdServices*crowdQueries)}
	var leave context.CancelFunc
	c.ctx, leave = context.WithCancel(context.Background())
	t.Cleanup(func() { leave(); c.asking.Wait() })
	for i := range crowdServices {
		c.register(i, 1)
	}
	for i := range crowdServices {
		at := h.ok(http.MethodGet, crowdPath(i), "").header.Get("X-Consul-Index")
		for range crowdQueries {
			c.ask(i, at)
		}
	}
	c.await(crowdServices * crowdQueries)
	return c
}

func crowdPath(service int) string { return fmt.Sprintf("/v1/health/service/svc-%d?passing", service) }

// register changes a service, if the port is another.
func (c *crowd) register(service, port int) {
	c.h.register(fmt.Sprintf(`{"Node":"n1","Address":"10.0.0.1","Service":{"Service":"svc-%d","Port":%d}}`, service, port))
}

// ask has one more query wait for a service.
func (c *crowd) ask(service int, index string) {
	u, err := url.Parse(crowdPath(service) + "&wait=10m&index=" + index)
	if err != nil {
		c.t.Fatal(err)
	}
	r := (&http.Request{Method: http.MethodGet, URL: u, Host: "x", RemoteAddr: "127.0.0.1:1", Header: http.Header{}}).WithContext(c.ctx)
	c.asking.Go(func() {
		w := sharer{header: make(http.Header, 8)}
		c.h.door.server.Handler.ServeHTTP(&w, r)
		if c.ctx.Err() == nil {
			c.woken <- woken{service, w.body, w.header.Get("X-Consul-Index")}
		}
	})
}

// await waits until so many queries wait.
func (c *crowd) await(n int64) {
	c.t.Helper()
	for end := time.Now().Add(30 * time.Second); c.h.door.surface.metrics.blocked.Load() != n; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("%d queries wait, want %d", c.h.door.surface.metrics.blocked.Load(), n)
		}
	}
}

// Of 10,000 queries that wait for 1,000 services, a change of one wakes those ten that wait for it, and their answer is made
// once.
func TestCrowdOfBlockedQueries(t *testing.T) {
	c := newCrowd(t)
	before := map[int]uint64{}
	for round, service := range []int{7, 999, 7} {
		c.register(service, 100+round)
		var first woken
		for i := range crowdQueries {
			w := <-c.woken
			if i == 0 {
				first = w
			}
			if w.service != service || w.rendered == nil || w.rendered != first.rendered || w.index != first.index {
				t.Errorf("round %d: a query for svc-%d was woken with index %s, by an evaluation that is shared: %v", round, w.service, w.index, w.rendered == first.rendered)
			}
		}
		index, err := strconv.ParseUint(first.index, 10, 64)
		if err != nil || index <= before[service] {
			t.Errorf("round %d: the index is %s, it was %d", round, first.index, before[service])
		}
		before[service] = index
		c.register(service, 100+round) // which changes nothing
		for range crowdQueries {
			c.ask(service, first.index)
		}
		c.await(crowdServices * crowdQueries)
		select {
		case w := <-c.woken:
			t.Errorf("round %d: a query for svc-%d was woken by nothing", round, w.service)
		default:
		}
	}
}

// One change of a service among 10,000 queries for 1,000, until those ten that wait for it are answered and wait again.
func BenchmarkCrowdOfBlockedQueries(b *testing.B) {
	c := newCrowd(b)
	port := 1
	b.ReportAllocs()
	for b.Loop() {
		port++
		service := port % crowdServices
		c.register(service, port)
		for range crowdQueries {
			w := <-c.woken
			c.ask(w.service, w.index)
		}
	}
}
