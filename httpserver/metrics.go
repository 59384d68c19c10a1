package httpserver

import (
	"sync/atomic"
	"time"

	"herald/registry/plugin"
)

// metrics counts what the door does. Its counters are looked up once, at start.
type metrics struct {
	requests plugin.Counter
	seconds  plugin.Histogram
	unrouted *routeMetrics
	blocked  atomic.Int64 // queries that wait for a change now
	refused  plugin.Counter
}

// routeMetrics are the counters of one route.
type routeMetrics struct {
	classes [6]interface{ Inc() } // by the first digit of the status
	seconds interface{ Observe(float64) }
}

func newMetrics(m plugin.Metrics) *metrics {
	out := &metrics{}
	if m != nil {
		out.requests = m.Counter("herald_http_requests_total", "Requests answered over HTTP, by route and class of status.", "route", "status")
		out.seconds = m.Histogram("herald_http_request_seconds", "Time to answer requests over HTTP that did not wait for a change, by route.", "route")
		out.refused = m.Counter("herald_http_refused_total", "Requests over HTTP that a limit refused, by the setting that says the limit.", "setting")
		m.Gauge("herald_http_blocked_queries", "Blocking queries over HTTP that wait for a change.", func() float64 { return float64(out.blocked.Load()) })
	}
	out.unrouted = out.route("none")
	return out
}

// refuse counts a request that a limit refused.
func (m *metrics) refuse(setting string) {
	if m.refused != nil {
		m.refused.With(setting).Inc()
	}
}

// route returns the counters of a route.
func (m *metrics) route(path string) *routeMetrics {
	r := &routeMetrics{}
	if m.requests == nil {
		return r
	}
	for class := range r.classes {
		r.classes[class] = m.requests.With(path, string(rune('0'+class))+"xx")
	}
	r.seconds = m.seconds.With(path)
	return r
}

// observe counts one answer. The time that a blocking query waited says nothing
// about the server, so it is not observed.
func (r *routeMetrics) observe(status int, blocked bool, took time.Duration) {
	if r.seconds == nil {
		return
	}
	if class := status / 100; class < len(r.classes) {
		r.classes[class].Inc()
	}
	if !blocked {
		r.seconds.Observe(took.Seconds())
	}
}
