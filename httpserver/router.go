package httpserver

import (
	"errors"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"herald/httpserver/api"
)

// newRouter puts the surface behind one http.Handler.
func newRouter(s *surface) http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(discard{})
	// Whatever matches no route ends here.
	e.HTTPErrorHandler = func(err error, c echo.Context) { s.unrouted(c.Response(), c.Request(), err) }
	all := s.routes()
	for _, r := range all {
		h := s.endpoint(&r)
		bare := strings.TrimSuffix(r.path, "/")
		if bare == r.path || !slices.ContainsFunc(all, func(o route) bool { return o.path == bare }) {
			e.Any(bare, h)
		}
		if bare != r.path {
			e.Any(r.path+"*", h)
		}
	}
	if s.forward != nil {
		// A server may know paths that this process does not.
		e.Any("/v1/*", s.endpoint(&route{path: "/v1/", scope: cluster}))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := routedPath(r); strings.Contains(p, "//") {
			redirect(w, r, p)
			return
		}
		e.ServeHTTP(w, r)
	})
}

// discard takes echo's own log, which says nothing that ours does not.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// routedPath is the path that routes are matched against: as it was sent where
// that differs from its plainest spelling.
func routedPath(r *http.Request) string {
	if r.URL.RawPath != "" {
		return r.URL.RawPath
	}
	return r.URL.Path
}

// redirect sends the client to the same path without doubled slashes, which a
// key can have by writing them as %2F.
func redirect(w http.ResponseWriter, r *http.Request, p string) {
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	u := *r.URL
	u.RawPath = ""
	location := p
	if u.RawPath == "" && r.URL.RawPath == "" {
		u.Path = p
		location = u.EscapedPath()
	}
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// endpoint returns what the router calls for a route, whatever the method.
func (s *surface) endpoint(r *route) echo.HandlerFunc {
	m := s.metrics.route(r.path)
	forwarded := s.forward != nil && r.scope == cluster
	allow := r.allow()
	return func(c echo.Context) error {
		start := time.Now()
		w := c.Response()
		if s.draining.Err() != nil {
			w.Header()["Connection"] = closing
		}
		q := s.requests.Get().(*request)
		q.reset(w, c.Request(), r.path)
		s.run(q, func() error {
			if err := s.throttle(q, r, start); err != nil {
				return err
			}
			if forwarded {
				return s.forward.serve(s, q)
			}
			return s.serve(q, r, allow)
		})
		m.observe(w.Status, q.blocked, time.Since(start))
		q.release()
		s.requests.Put(q)
		return nil
	}
}

// run calls f and answers with its error, or with 500 if it panicked.
func (s *surface) run(q *request, f func() error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			s.log.Error("a request panicked", "method", q.r.Method, "path", q.r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			s.fail(q, errPanicked)
		}
	}()
	if err := f(); err != nil {
		s.fail(q, err)
	}
}

// serve answers a request that is this process's to answer.
func (s *surface) serve(q *request, r *route, allow string) error {
	h := r.handler(q.r.Method)
	if h == nil {
		q.header()["Allow"] = []string{allow}
		if q.r.Method == http.MethodOptions {
			q.w.WriteHeader(http.StatusOK)
			return nil
		}
		return refusef(http.StatusMethodNotAllowed, "method %s not allowed", q.r.Method)
	}
	if err := q.query.parse(q.r.URL.RawQuery); err != nil {
		return refusef(http.StatusBadRequest, "Invalid query string: %v", err)
	}
	if err := s.admit(q, r); err != nil {
		return err
	}
	return h(q)
}

// admit refuses what every endpoint refuses.
func (s *surface) admit(q *request, r *route) error {
	for _, name := range [...]string{"ns", "partition"} {
		if v := q.query.get(name); v != "" && v != "default" {
			return refusef(http.StatusBadRequest, "Invalid query parameter: %q - Herald has no namespaces and no partitions; leave it out", name)
		}
	}
	if r.scope == cluster {
		return s.checkDatacenter(q.query.first("dc", "datacenter"))
	}
	return nil
}

// checkDatacenter refuses a datacenter that is not this one.
func (s *surface) checkDatacenter(dc string) error {
	if dc != "" && !strings.EqualFold(dc, s.datacenter) {
		return refuse(http.StatusInternalServerError, "No path to datacenter")
	}
	return nil
}

func (r *route) handler(method string) handler {
	switch method {
	case http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete:
		if r.every != nil {
			return r.every
		}
	}
	switch method {
	case http.MethodGet:
		return r.get
	case http.MethodHead:
		if r.probe {
			return r.get // net/http leaves the body out
		}
	case http.MethodPut:
		return r.put
	case http.MethodPost:
		return r.post
	case http.MethodDelete:
		return r.delete
	}
	return nil
}

// allow is the route's Allow header.
func (r *route) allow() string {
	allow := http.MethodOptions
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete} {
		if r.handler(m) != nil {
			allow += "," + m
		}
	}
	return allow
}

// unrouted answers what no route took.
func (s *surface) unrouted(w http.ResponseWriter, r *http.Request, err error) {
	var he *echo.HTTPError
	status, text := http.StatusNotFound, "Invalid URL path: not a recognized HTTP API endpoint"
	if errors.As(err, &he) && he.Code == http.StatusMethodNotAllowed {
		status, text = he.Code, "method "+r.Method+" not allowed"
	}
	s.metrics.unrouted.observe(status, false, 0)
	w.Header()[api.HeaderError] = []string{"unknown-endpoint"}
	writeText(w, status, text)
}

// committed reports whether the answer's headers have been sent.
func committed(w http.ResponseWriter) bool {
	r, ok := w.(*echo.Response)
	return ok && r.Committed
}
