package grpcserver

import (
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"herald/registry/plugin"
)

// callMetrics counts what clients call. It is safe for concurrent use once it knows the
// methods.
type callMetrics struct {
	requests plugin.Counter // nil if nobody wants to know
	seconds  plugin.Histogram
	methods  map[string]*methodMetrics // by full name
	streams  atomic.Int64              // that are open
	watches  atomic.Int64
}

// methodMetrics are the counters of one method: those of the process, if somebody wants to
// know, and those with the names that gRPC's middleware gives them.
type methodMetrics struct {
	rpc rpcCounts
	// Each of these is made when it is first counted on: of most methods there is nothing to
	// say, and of most codes.
	codes   [codes.Unauthenticated + 1]func() interface{ Inc() }
	seconds func() interface{ Observe(float64) }
}

func newCallMetrics(m plugin.Metrics) *callMetrics {
	c := &callMetrics{methods: make(map[string]*methodMetrics)}
	if m != nil {
		c.requests = m.Counter("herald_etcd_requests_total", "Calls of etcd's API that have ended, by method and code of gRPC; over JSON too.", "method", "code")
		c.seconds = m.Histogram("herald_etcd_request_seconds", "Time to answer calls of etcd's API that are no streams, by method.", "method")
		m.Gauge("herald_etcd_streams", "Streams of etcd's API that are open.", func() float64 { return float64(c.streams.Load()) })
		m.Gauge("herald_etcd_watches", "Watches of etcd's API.", func() float64 { return float64(c.watches.Load()) })
	}
	return c
}

// know makes the counters of every method of the services.
func (c *callMetrics) know(services map[string]grpc.ServiceInfo) {
	for service, info := range services {
		for _, m := range info.Methods {
			counters := &methodMetrics{rpc: rpcCounts{service: service, method: m.Name, kind: rpcKind(m)}}
			if c.requests != nil {
				c.observe(counters, shortMethod(service, m.Name))
			}
			c.methods["/"+service+"/"+m.Name] = counters
		}
	}
}

// shortMethod is what a method is called in metrics, such as KV/Range.
func shortMethod(service, method string) string {
	return path.Join(service[strings.LastIndexByte(service, '.')+1:], method)
}

func (c *callMetrics) observe(m *methodMetrics, name string) {
	m.seconds = sync.OnceValue(func() interface{ Observe(float64) } { return c.seconds.With(name) })
	for code := range m.codes {
		m.codes[code] = sync.OnceValue(func() interface{ Inc() } { return c.requests.With(name, codes.Code(code).String()) })
	}
}

// began counts the begin of a call. It returns where its end is to be counted, nil if the
// method is unknown.
func (c *callMetrics) began(method string) *methodMetrics {
	m := c.methods[method]
	if m != nil {
		m.rpc.started.Add(1)
	}
	return m
}

// stream counts a stream, until the function that it returns is called with how it ended.
func (c *callMetrics) stream(method string) (ended func(error)) {
	c.streams.Add(1)
	m := c.began(method)
	return func(err error) {
		c.streams.Add(-1)
		m.ended(err)
	}
}

// answered counts the end of a call that is no stream, and how long it took.
func (m *methodMetrics) answered(began time.Time, err error) {
	m.ended(err)
	if m != nil && m.seconds != nil {
		m.seconds().Observe(time.Since(began).Seconds())
	}
}

// ended counts the end of a call.
func (m *methodMetrics) ended(err error) {
	code := int(status.Code(err))
	if m == nil || code >= len(m.codes) {
		return
	}
	m.rpc.handled[code].Add(1)
	if m.codes[code] != nil {
		m.codes[code]().Inc()
	}
}
