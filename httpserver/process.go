package httpserver

import (
	"net/http"
	"net/http/pprof"
)

// metricsText is GET /metrics.
func (s *surface) metricsText(q *request) error {
	if s.metricsHandler == nil {
		return refuse(http.StatusNotFound, "This process keeps no metrics.")
	}
	s.metricsHandler.ServeHTTP(q.w, q.r)
	return nil
}

// healthz is GET /healthz: 200 while the process answers at all.
func (s *surface) healthz(q *request) error {
	writeText(q.w, http.StatusOK, "ok\n")
	return nil
}

// readyz is GET /readyz: 200 once the process should be sent requests, 503 with the
// reason until then and while it stops.
func (s *surface) readyz(q *request) error {
	if s.draining.Err() != nil {
		return refuse(http.StatusServiceUnavailable, "not ready: stopping\n")
	}
	if s.ready != nil {
		if err := s.ready(); err != nil {
			return refusef(http.StatusServiceUnavailable, "not ready: %v\n", err)
		}
	}
	writeText(q.w, http.StatusOK, "ready\n")
	return nil
}

// pprof is GET /debug/pprof/<profile>.
func (s *surface) pprof(q *request) error {
	switch q.arg {
	case "cmdline":
		pprof.Cmdline(q.w, q.r)
	case "profile":
		pprof.Profile(q.w, q.r)
	case "symbol":
		pprof.Symbol(q.w, q.r)
	case "trace":
		pprof.Trace(q.w, q.r)
	default:
		pprof.Index(q.w, q.r) // also each profile by its name
	}
	return nil
}
